/** Declarations of conformance cases. */
import type { Capability } from './capabilities.js';
import type { Fixture } from './fixture.js';

/** What a case needs of its backend. */
export interface CaseOptions {
  /** Without one of these the case is unsupported. */
  readonly requires?: readonly Capability[];
  /** With one of these the case makes no sense. */
  readonly excludes?: readonly Capability[];
  /** Why the case cannot hold for now, and where: an unexpected pass is an error under --strict. */
  readonly expectedFail?: { readonly reason: string; readonly backends?: readonly string[] };
  /** Milliseconds that the case may take; 10 s when absent. */
  readonly deadlineMs?: number;
}

/** One case of the suite: a promise of docs/driver-contract.md, checked. */
export interface ConformanceCase extends CaseOptions {
  readonly category: string;
  /** What the case promises, as the end of "it ...". */
  readonly name: string;
  /** Paragraph of docs/driver-contract.md. */
  readonly contract: string;
  readonly run: (fixture: Fixture) => Promise<void>;
}

type CaseDeclaration = Omit<ConformanceCase, 'category'>;

/** Declares a case. */
export function conformanceCase(
  name: string,
  contract: string,
  options: CaseOptions,
  run: ConformanceCase['run'],
): CaseDeclaration {
  return { ...options, name, contract, run };
}

/** Cases under one heading; `options` apply to all of them. */
export function category(
  name: string,
  options: CaseOptions,
  cases: readonly CaseDeclaration[],
): readonly ConformanceCase[] {
  return cases.map((declared) => ({
    ...options,
    ...declared,
    requires: [...(options.requires ?? []), ...(declared.requires ?? [])],
    category: name,
  }));
}

/** Thrown by a case that finds out only while it runs that the backend cannot do what it needs. */
export class Unsupported extends Error {
  override readonly name = 'Unsupported';
}

/** Ends the case as unsupported. */
export function unsupported(reason: string): never {
  throw new Unsupported(reason);
}
