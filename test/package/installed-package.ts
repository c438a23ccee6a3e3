/** The package as `npm install` of its tarball leaves it, in a project of somebody else. */
import { execFile } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { inPackage, temporaryFolder } from '../cli/mtia.js';

const run = promisify(execFile);

export const PACKAGE: {
  readonly name: string;
  readonly exports: Readonly<Record<string, object>>;
  readonly dependencies: Readonly<Record<string, string>>;
} = JSON.parse(readFileSync(inPackage('package.json'), 'utf8'));

export class Project {
  readonly folder: string;
  readonly package: string;

  constructor(folder: string) {
    this.folder = folder;
    this.package = join(folder, 'node_modules', PACKAGE.name);
  }

  write(name: string, text: string | Uint8Array): string {
    const path = join(this.folder, name);
    writeFileSync(path, text);
    return path;
  }

  /** Runs in the folder of the project; rejects where it fails, with what it printed. */
  run(command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<{ readonly stdout: string }> {
    return run(command, args, { cwd: this.folder, env: { ...process.env, ...env } });
  }

  node(...args: readonly string[]): Promise<{ readonly stdout: string }> {
    return this.run(process.execPath, args);
  }
}

function link(project: Project, name: string): void {
  const path = join(project.folder, 'node_modules', name);
  mkdirSync(dirname(path), { recursive: true });
  symlinkSync(inPackage(join('node_modules', name)), path);
}

/** Packs, and unpacks beside the dependencies; the library is the one that the checkout has built, to save the time. */
export async function installPackage(): Promise<Project & { readonly remove: () => Promise<void> }> {
  const { path: folder, remove } = await temporaryFolder();
  const project = Object.assign(new Project(folder), { remove });
  mkdirSync(project.package, { recursive: true });
  await run('npm', ['pack', '--ignore-scripts', '--pack-destination', folder], { cwd: inPackage('.') });
  const tarball = join(
    folder,
    `${PACKAGE.name}-${JSON.parse(readFileSync(inPackage('package.json'), 'utf8')).version}.tgz`,
  );
  await project.run('tar', ['-xzf', tarball, '-C', project.package, '--strip-components', '1']);
  for (const name of [...Object.keys(PACKAGE.dependencies), '@types/node']) link(project, name);
  project.write('package.json', '{ "type": "module" }');
  symlinkSync(join(project.package, 'examples'), join(folder, 'examples'));
  const library = join('build', 'Release', 'mtia.so');
  mkdirSync(dirname(join(project.package, library)), { recursive: true });
  copyFileSync(inPackage(library), join(project.package, library));
  return project;
}
