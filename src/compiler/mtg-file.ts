/**
 * .mtg files: a compiled graph, ready to be loaded.
 *
 * Header, section records, then the sections, each at a multiple of 64 bytes: a JSON manifest, the graph image, the
 * weights. The SHA-256 covers everything but itself. Reading trusts nothing in the file.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { MtiaError } from '../driver/errors.js';
import {
  decodeStruct,
  defineStruct,
  encodeStruct,
  type Generation,
  PROTOCOL_VERSION,
  SPECIFICATIONS,
} from '../hw/index.js';
import { type CompiledGraph, ELEMENT_BYTES, type ElementType, SEGMENT_KINDS } from './compiled-graph.js';
import { guardFile, invalidModel } from './errors.js';
import { checkGraphImage } from './graph-image.js';
import { roundUp } from './packing/pack-weights.js';
import { elementCount } from './tensor.js';

/** "MTIAMTG" and a byte that no text file has. */
const MAGIC = 0x0047_544d_4149_544dn;
const VERSION = 1;
const ALIGNMENT = 64;
const HASH_OFFSET = 32;
const HASH_BYTES = 32;

const HEADER = defineStruct('mtg_header', 64, 'Start of a .mtg file.', [
  { name: 'magic', type: 'u64', doc: 'MAGIC' },
  { name: 'version', type: 'u32', doc: 'VERSION' },
  { name: 'section_count', type: 'u32', doc: 'section records that follow the header' },
  { name: 'total_bytes', type: 'u64', doc: 'size of the file' },
  { name: 'reserved', type: 'u64', doc: 'zero' },
  { name: 'sha256', type: 'u8', count: 32, doc: 'of the file with this field zero' },
]);

const SECTION = defineStruct('mtg_section', 64, 'One section of a .mtg file.', [
  { name: 'kind', type: 'u32', doc: 'index into SECTIONS' },
  { name: 'reserved', type: 'u32', doc: 'zero' },
  { name: 'offset', type: 'u64', doc: 'from the start of the file, a multiple of 64' },
  { name: 'bytes', type: 'u64', doc: 'size' },
  { name: 'reserved_words', type: 'u64', count: 5, doc: 'zero' },
]);

const SECTIONS = ['manifest', 'image', 'weights'] as const;

const size = z.number().int().nonnegative();
const tensorSchema = z.object({
  name: z.string(),
  type: z.enum(Object.keys(ELEMENT_BYTES) as [ElementType, ...ElementType[]]),
  shape: z.array(size),
  offset: size.multipleOf(ALIGNMENT),
  bytes: size,
});
const segmentSchema = z.object({ bytes: size, memory: z.enum(['lpddr', 'sram']) });
const manifestSchema = z.object({
  name: z.string(),
  generation: z.string(),
  protocolVersion: z.number().int(),
  computeType: z.enum(['bf16', 'fp16', 'int8']),
  inputs: z.array(tensorSchema),
  outputs: z.array(tensorSchema),
  segments: z.object({
    weights: segmentSchema,
    workspace: segmentSchema,
    inputs: segmentSchema,
    outputs: segmentSchema,
  }),
  jobs: z.array(z.object({ kernel: z.string(), nodes: z.array(z.string()), shape: z.string() })),
});
type Manifest = z.infer<typeof manifestSchema>;

/** Serializes a compiled graph as an .mtg file. */
export function encodeCompiledGraph(graph: CompiledGraph): Uint8Array {
  const { weights, image, ...manifest } = graph;
  const parts = [Buffer.from(JSON.stringify(manifest), 'utf8'), image, weights];
  const offsets: number[] = [];
  let end = HEADER.size + SECTIONS.length * SECTION.size;
  for (const part of parts) {
    offsets.push(end);
    end = roundUp(end + part.byteLength, ALIGNMENT);
  }
  const file = new Uint8Array(end);
  const view = new DataView(file.buffer);
  encodeStruct(HEADER, view, 0, {
    magic: MAGIC,
    version: VERSION,
    section_count: SECTIONS.length,
    total_bytes: end,
  });
  for (const [kind, part] of parts.entries()) {
    const offset = offsets[kind] ?? 0;
    encodeStruct(SECTION, view, HEADER.size + kind * SECTION.size, { kind, offset, bytes: part.byteLength });
    file.set(part, offset);
  }
  file.set(digest(file), HASH_OFFSET);
  return file;
}

function digest(file: Uint8Array): Uint8Array {
  return createHash('sha256')
    .update(file.subarray(0, HASH_OFFSET))
    .update(new Uint8Array(HASH_BYTES))
    .update(file.subarray(HASH_OFFSET + HASH_BYTES))
    .digest();
}

/** True for bytes that begin as an .mtg file does. */
export function isCompiledGraph(bytes: Uint8Array): boolean {
  if (bytes.byteLength < 8) return false;
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigUint64(0, true) === MAGIC;
}

/**
 * Reads an .mtg file. Damage is an INVALID_MODEL; a graph for another chip or another version of the host protocol is a
 * FIRMWARE_MISMATCH. The weights of the result are a view of `bytes`.
 */
export function decodeCompiledGraph(
  bytes: Uint8Array,
  options: { readonly generation?: Generation } = {},
): CompiledGraph {
  return guardFile('compiled graph', () => decode(bytes, options.generation));
}

function decode(bytes: Uint8Array, generation: Generation | undefined): CompiledGraph {
  if (!isCompiledGraph(bytes)) throw invalidModel('header', 'this is not a compiled graph');
  if (bytes.byteLength < HEADER.size) throw invalidModel('header', 'is cut off');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const header = decodeStruct(HEADER, view, 0);
  if (header.version !== BigInt(VERSION)) {
    throw new MtiaError(
      'FIRMWARE_MISMATCH',
      `the file has format version ${header.version}, this compiler ${VERSION}; compile the model again`,
    );
  }
  if (header.total_bytes !== BigInt(bytes.byteLength)) {
    throw invalidModel('header', `names ${header.total_bytes} bytes, but the file has ${bytes.byteLength}`);
  }
  const stored = bytes.subarray(HASH_OFFSET, HASH_OFFSET + HASH_BYTES);
  if (Buffer.compare(stored, digest(bytes)) !== 0) throw invalidModel('header', 'the checksum does not match the file');
  if (header.section_count !== BigInt(SECTIONS.length))
    throw invalidModel('header', 'names another number of sections');
  const [manifestBytes, image, weights] = SECTIONS.map((name, kind) => sectionBytes(view, bytes, name, kind));
  if (manifestBytes === undefined || image === undefined || weights === undefined) {
    throw invalidModel('header', 'sections are missing');
  }
  const graph = checkedGraph(parseManifest(manifestBytes), image, weights);
  if (generation !== undefined && graph.generation !== generation) {
    throw new MtiaError(
      'FIRMWARE_MISMATCH',
      `the graph is compiled for ${graph.generation}, the device is ${generation}; compile it for that`,
    );
  }
  return graph;
}

function sectionBytes(view: DataView, bytes: Uint8Array, name: string, kind: number): Uint8Array {
  const at = HEADER.size + kind * SECTION.size;
  if (at + SECTION.size > bytes.byteLength) throw invalidModel(`section ${name}`, 'has no record');
  const record = decodeStruct(SECTION, view, at);
  const end = record.offset + record.bytes;
  if (record.kind !== BigInt(kind) || record.offset % BigInt(ALIGNMENT) !== 0n || end > BigInt(bytes.byteLength)) {
    throw invalidModel(`section ${name}`, 'has a malformed record');
  }
  return bytes.subarray(Number(record.offset), Number(end));
}

function parseManifest(bytes: Uint8Array): Manifest {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  const result = manifestSchema.safeParse(JSON.parse(text));
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw invalidModel('manifest', `field ${issue?.path.map(String).join('.')}: ${issue?.message}`);
}

function checkedGraph(manifest: Manifest, image: Uint8Array, weights: Uint8Array): CompiledGraph {
  if (manifest.protocolVersion !== PROTOCOL_VERSION) {
    throw new MtiaError(
      'FIRMWARE_MISMATCH',
      `the graph speaks protocol version ${manifest.protocolVersion}, this runtime ${PROTOCOL_VERSION}; compile the model again`,
    );
  }
  const generation = (Object.keys(SPECIFICATIONS) as Generation[]).find((known) => known === manifest.generation);
  if (generation === undefined) {
    throw new MtiaError(
      'FIRMWARE_MISMATCH',
      `the graph is compiled for ${manifest.generation}, which is no known chip; compile the model again`,
    );
  }
  for (const kind of ['inputs', 'outputs'] as const) {
    for (const tensor of manifest[kind]) {
      const expected = elementCount(tensor.shape) * ELEMENT_BYTES[tensor.type];
      if (tensor.bytes !== expected || tensor.offset + tensor.bytes > manifest.segments[kind].bytes) {
        throw invalidModel('manifest', `${kind}: "${tensor.name}" does not fit its segment`);
      }
    }
  }
  if (manifest.segments.weights.bytes !== weights.byteLength)
    throw invalidModel('manifest', 'weights have another size');
  const specification = SPECIFICATIONS[generation];
  const segmentBytes = Object.fromEntries(SEGMENT_KINDS.map((kind) => [kind, manifest.segments[kind].bytes]));
  const jobs = checkGraphImage(
    image,
    segmentBytes as Record<(typeof SEGMENT_KINDS)[number], number>,
    specification.gridWidth.value,
    specification.gridHeight.value,
  );
  if (jobs !== manifest.jobs.length)
    throw invalidModel('manifest', `describes ${manifest.jobs.length} jobs of ${jobs}`);
  return { ...manifest, generation, image, weights };
}
