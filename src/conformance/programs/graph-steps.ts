/** Captured graphs: what a replay does to the bytes of the buffers that it was captured with, or that stand in for them. */
import assert from 'node:assert/strict';
import type { Graph, HostBuffer } from '../../streaming-api/index.js';
import { rejectsWith } from '../expectations.js';
import { Random } from '../random.js';
import { type Account, compare } from './account.js';
import { type Operation, operationOf, type StandIn } from './operation.js';
import { varied } from './random-program.js';
import { FAILING_KERNELS, type StepOf, type Work } from './step.js';
import type { TrackedStream } from './tracked-stream.js';
import type { World } from './world.js';

/** Work that a graph can hold. */
interface Captured {
  readonly work: Work;
  readonly operation: Operation;
}

interface Download {
  readonly account: Account;
  readonly host: HostBuffer;
}

export interface TrackedGraph {
  readonly graph: Graph;
  captured: readonly Captured[];
  readonly downloads: readonly Download[];
  readonly fails: StepOf<'capture'>['fails'];
  readonly other: number;
  /** Streams with replays. */
  readonly replayers: Set<TrackedStream>;
  /** Host functions that look at what was downloaded. */
  readonly looks: Promise<unknown>[];
}

function capturedOf(world: World, works: readonly Work[]): readonly Captured[] {
  return works.flatMap((work) => {
    const operation = operationOf(world, work);
    return operation === undefined || operation.outsideGraphs ? [] : [{ work, operation }];
  });
}

const accountsOf = (captured: readonly Captured[]): readonly Account[] =>
  captured.flatMap(({ operation }) => operation.accounts);

/** Enqueues the work on two streams in turn, beside each other where they share no buffer. */
function enqueue(captured: readonly Captured[], origin: TrackedStream, other: TrackedStream): void {
  let unjoined = new Set<Account>();
  const join = (): void => {
    origin.stream.waitStream(other.stream);
    other.stream.waitStream(origin.stream);
    unjoined = new Set();
  };
  if (other !== origin) other.stream.waitStream(origin.stream);
  for (const [index, { operation }] of captured.entries()) {
    const on = index % 2 === 1 ? other : origin;
    if (other !== origin && operation.accounts.some((account) => unjoined.has(account))) join();
    for (const account of operation.accounts) unjoined.add(account);
    void operation.enqueue(on.stream);
  }
  if (other !== origin) origin.stream.waitStream(other.stream);
}

async function closeGraph(world: World, number: number): Promise<void> {
  const tracked = world.graphs.get(number);
  if (tracked === undefined) return;
  world.graphs.delete(number);
  world.openGates();
  await endGraph(tracked);
}

export async function endGraph({ graph, downloads, looks }: TrackedGraph): Promise<void> {
  await graph.close();
  await Promise.allSettled(looks);
  for (const { host } of downloads) host.free();
}

/** Captures the work, reads into pinned memory behind it, and a kernel that fails where the graph is to. */
function captureAll(
  world: World,
  step: Pick<StepOf<'capture'>, 'fails'>,
  captured: readonly Captured[],
  parts: {
    readonly origin: TrackedStream;
    readonly other: TrackedStream;
    readonly downloads: readonly Download[];
  },
): Graph {
  const { origin, other, downloads } = parts;
  const graph = world.device.createGraph();
  graph.captureBegin(origin.stream);
  enqueue(captured, origin, other);
  for (const { account, host } of downloads) void origin.stream.copyToHost(host, account.buffer);
  if (step.fails !== 'none') {
    const { word } = FAILING_KERNELS[step.fails];
    void origin.stream.launch(world.device.kernel(step.fails), { grid: { columns: 2, rows: 2 } }, [word]);
  }
  graph.captureEnd();
  return graph;
}

async function capture(world: World, step: StepOf<'capture'>, what: string): Promise<void> {
  await closeGraph(world, step.graph);
  await world.ready(world.stream(0), what);
  const captured = capturedOf(world, step.works);
  if (captured.length === 0) return;
  for (const { work } of captured) world.count(work.do);
  const [origin, other] = [world.stream(step.stream), world.stream(step.other)];
  const downloads = step.reads.flatMap((buffer) => {
    const account = world.account(buffer);
    return account === undefined ? [] : [{ account, host: world.device.allocateHost(account.bytes.byteLength) }];
  });
  const graph = captureAll(world, step, captured, { origin, other, downloads });
  const nodes = captured.length + downloads.length + (step.fails === 'none' ? 0 : 1);
  const kept = graph.nodeCount;
  assert.ok(kept >= nodes - captured.length && origin.stream.isCapturing === false, what);
  await graph.instantiate();
  const { fails } = step;
  const tracked = {
    graph,
    captured,
    downloads,
    fails,
    other: step.other,
    replayers: new Set<TrackedStream>(),
    looks: [],
  };
  world.graphs.set(step.graph, tracked);
}

async function badCapture(world: World, { how, stream, other: number }: StepOf<'bad capture'>): Promise<void> {
  const [origin, other] = [world.stream(stream), world.stream(number)];
  const graph = world.device.createGraph();
  graph.captureBegin(origin.stream);
  if (how === 'unjoined' && other !== origin) {
    other.stream.waitStream(origin.stream);
    void other.stream.launch(world.device.kernel('NULL'), { grid: { columns: 1, rows: 1 } });
    await rejectsWith('CAPTURE_UNJOINED', () => graph.captureEnd());
  } else {
    await rejectsWith('CAPTURE_UNSUPPORTED', origin.stream.synchronize());
    await rejectsWith('CAPTURE_INVALIDATED', () => graph.captureEnd());
  }
  assert.equal(origin.stream.isCapturing || other.stream.isCapturing, false, 'streams are captured still');
  await graph.close();
}

/** The buffer that takes the place of the first that was captured, where it can. */
function bindingOf(world: World, accounts: readonly Account[], bind: number): readonly [Account, Account] | undefined {
  const [first] = accounts;
  const other = world.account(bind);
  if (first === undefined || other === undefined || accounts.includes(other)) return undefined;
  return other.bytes.byteLength >= first.bytes.byteLength ? [first, other] : undefined;
}

function replay(world: World, step: StepOf<'replay'>, what: string): void {
  const tracked = world.graphs.get(step.graph);
  if (tracked === undefined) return;
  const { graph, captured, downloads, fails } = tracked;
  const on = world.stream(step.stream);
  const accounts = [...accountsOf(captured), ...downloads.map(({ account }) => account)];
  const binding = bindingOf(world, accounts, step.bind);
  const standIn: StandIn = (account) => (account === binding?.[0] ? binding[1] : account);
  world.use(accounts.map(standIn), on, step.by, what);
  const bindings = binding === undefined ? [] : [[binding[0].buffer, binding[1].buffer] as const];
  // Downloads of an earlier replay lie in the same memory.
  for (const replayer of tracked.replayers) world.order(on, replayer, step.by, what);
  const done = graph.replay(on.stream, { bindings });
  tracked.replayers.add(on);
  world.begin(on, {
    what,
    done,
    ...(fails === 'none' ? {} : { fails: [FAILING_KERNELS[fails].code] }),
    succeeded: () => {
      for (const { operation } of captured) operation.apply(standIn);
    },
    failed: () => {
      for (const { operation } of captured) operation.spoil(standIn);
    },
  });
  if (fails !== 'none') return;
  for (const download of downloads) tracked.looks.push(lookAt(world, on, download, standIn, what));
}

/** What the replay has downloaded, seen by a host function behind it. */
function lookAt(world: World, on: TrackedStream, download: Download, standIn: StandIn, what: string): Promise<void> {
  let found = new Uint8Array();
  const done = on.stream.launchHostFunction(() => {
    found = download.host.view.slice(0, download.account.bytes.byteLength);
  });
  const account = standIn(download.account);
  const label = `${what}, download`;
  world.begin(on, { what: label, done, succeeded: () => compare(account, 0, found, label) });
  return done;
}

/** Other values for the same work: replays from now on use them. */
async function updateGraph(world: World, step: StepOf<'update graph'>, what: string): Promise<void> {
  const tracked = world.graphs.get(step.graph);
  if (tracked === undefined || tracked.captured.some(({ operation }) => operation.accounts.some(gone))) return;
  const random = new Random(step.seed, 'update');
  const works = tracked.captured.map(({ work }) => varied(random, work));
  const captured = capturedOf(world, works);
  const origin = world.stream(step.stream);
  const same =
    captured.length === tracked.captured.length &&
    captured.every(({ operation: { accounts } }, index) => {
      const before = tracked.captured[index]?.operation.accounts ?? [];
      return accounts.every((account, place) => account === before[place]);
    });
  if (!same) return;
  for (const replayer of tracked.replayers) world.order(origin, replayer, 'stream', what);
  await world.ready(origin, what);
  const other = captureAll(world, tracked, captured, { origin, other: origin, downloads: tracked.downloads });
  // The streams of the capture decide the order that both must have.
  const sameOrder = tracked.other === step.stream || world.stream(tracked.other) === origin;
  if (sameOrder) {
    await tracked.graph.update(other, origin.stream).then(
      () => {
        tracked.captured = captured;
      },
      (error: { code?: string }) => assert.equal(error.code, 'INVALID_ARGUMENT', what),
    );
  }
  await other.close();
}

const gone = ({ buffer }: Account): boolean => buffer.freed;

export const GRAPH_STEPS = {
  capture,
  'bad capture': badCapture,
  replay,
  'update graph': updateGraph,
  'close graph': (world: World, { graph }: StepOf<'close graph'>) => closeGraph(world, graph),
} as const;
