import { describe, test } from 'vitest';
import { DATA_TYPE, INTERACTION_ARGUMENTS } from '../../src/hw/index.js';
import { benchesOfBothGenerations } from './kernel-bench.js';
import { Arena, type Expectation, expectFailure, expectJob, type Job } from './kernel-case.js';
import { load, randomNumbers, store } from './number-formats.js';

type Place = readonly [row: number, column: number];

interface Shape {
  batch: number;
  features: number;
  elements: number;
  type?: 'FP16' | 'BF16';
  places: readonly Place[];
  prefix?: number;
  prefixFeature?: number;
  /** Bytes of an output row beyond what is needed. */
  outputGap?: number;
  inputGap?: number;
  rectangle?: readonly [columns: number, rows: number];
  values?: Partial<Record<string, number>>;
}

function lowerTriangle(features: number): Place[] {
  return Array.from({ length: features }, (_, row) =>
    Array.from({ length: row }, (_, column): Place => [row, column]),
  ).flat();
}
function upperTriangle(features: number): Place[] {
  return lowerTriangle(features)
    .map(([row, column]): Place => [column, row])
    .sort(([a, b], [c, d]) => a - c || b - d);
}
function allPlaces(features: number): Place[] {
  return Array.from({ length: features * features }, (_, at): Place => [Math.floor(at / features), at % features]);
}

function makeJob(shape: Shape): { job: Job; expectations: Expectation[] } {
  const { batch, features, elements, places } = shape;
  const type = shape.type ?? 'BF16';
  const prefix = shape.prefix ?? 0;
  const prefixFeature = shape.prefixFeature ?? 0;
  const featureStride = Math.ceil((elements * 2) / 64) * 64;
  const inputStride = features * featureStride + (shape.inputGap ?? 0);
  const outputStride = Math.ceil(((prefix + places.length) * 2) / 32) * 32 + (shape.outputGap ?? 0);
  const arena = new Arena();
  const input = arena.allocate(batch * inputStride);
  const output = arena.allocate(batch * outputStride);
  const selection = arena.allocate(Math.ceil((places.length * 4) / 32) * 32);
  const random = randomNumbers(batch * 17 + features);
  places.forEach(([row, column], at) => {
    arena.view.setUint32(selection + at * 4, row * features + column, true);
  });
  const place = (sample: number, feature: number, element: number): number =>
    input + sample * inputStride + feature * featureStride + element * 2;
  for (let sample = 0; sample < batch; sample++) {
    for (let feature = 0; feature < features; feature++) {
      for (let element = 0; element < featureStride / 2; element++) {
        const value = element < elements ? Math.fround(random() * 2 - 1) : 0;
        store(arena.view, place(sample, feature, element), type, value);
      }
    }
  }
  const expectations: Expectation[] = [];
  for (let sample = 0; sample < batch; sample++) {
    const row: Omit<Expectation, 'at' | 'type'>[] = [];
    for (let element = 0; element < prefix; element++) {
      row.push({ value: load(arena.view, place(sample, prefixFeature, element), type) });
    }
    for (const [a, b] of places) {
      let sum = 0;
      let magnitude = 0;
      for (let element = 0; element < elements; element++) {
        const product =
          load(arena.view, place(sample, a, element), type) * load(arena.view, place(sample, b, element), type);
        sum += product;
        magnitude += Math.abs(product);
      }
      row.push({ value: sum, error: elements * 2 ** -24 * magnitude });
    }
    for (let at = 0; at < outputStride / 2; at++) {
      expectations.push({ at: output + sample * outputStride + at * 2, type, ...(row[at] ?? { value: 0 }) });
    }
  }
  const values = {
    input,
    output,
    selection,
    batch,
    features,
    elements,
    feature_stride: featureStride,
    input_stride: inputStride,
    output_stride: outputStride,
    prefix_elements: prefix,
    prefix_feature: prefixFeature,
    selected_count: places.length,
    type: DATA_TYPE[type],
    ...shape.values,
  };
  const [columns, rows] = shape.rectangle ?? [1, 1];
  return {
    job: {
      kernel: 'INTERACTION',
      layout: INTERACTION_ARGUMENTS,
      values,
      addresses: ['input', 'output', 'selection'],
      rectangle: { columns, rows },
      arena,
    },
    expectations,
  };
}

describe('INTERACTION', () => {
  const benches = benchesOfBothGenerations();

  const shapes: Record<string, Shape> = {
    'a ranking model': {
      batch: 40,
      features: 27,
      elements: 128,
      places: lowerTriangle(27),
      prefix: 128,
      rectangle: [3, 2],
    },
    'upper triangle': { batch: 5, features: 9, elements: 16, places: upperTriangle(9), prefix: 16, prefixFeature: 8 },
    'one feature': { batch: 7, features: 1, elements: 40, places: [[0, 0]], prefix: 40 },
    'one feature, only the prefix': { batch: 3, features: 1, elements: 64, places: [], prefix: 33 },
    'no prefix': { batch: 3, features: 5, elements: 32, places: lowerTriangle(5) },
    '32 features': { batch: 3, features: 32, elements: 64, places: lowerTriangle(32), prefix: 3, type: 'FP16' },
    '33 features': { batch: 3, features: 33, elements: 64, places: lowerTriangle(33), prefix: 64, type: 'FP16' },
    '64 features, every place': { batch: 4, features: 64, elements: 48, places: allPlaces(64), rectangle: [2, 2] },
    'places in any order, and twice': {
      batch: 6,
      features: 6,
      elements: 24,
      places: [
        [5, 5],
        [0, 1],
        [0, 2],
        [3, 1],
        [0, 2],
        [0, 3],
        [2, 0],
        [1, 5],
        [2, 0],
        [2, 1],
      ],
      prefix: 7,
      prefixFeature: 2,
      outputGap: 64,
    },
    'gaps between samples': { batch: 9, features: 4, elements: 32, places: upperTriangle(4), prefix: 8, inputGap: 192 },
    'many blocks on one PE': { batch: 130, features: 27, elements: 64, places: lowerTriangle(27), prefix: 64 },
    'large samples': { batch: 3, features: 50, elements: 500, places: lowerTriangle(50), prefix: 500 },
    'more PEs than samples': {
      batch: 2,
      features: 3,
      elements: 8,
      places: lowerTriangle(3),
      prefix: 8,
      rectangle: [8, 8],
    },
  };
  for (const [name, shape] of Object.entries(shapes)) {
    test(name, async () => {
      const { job, expectations } = makeJob(shape);
      await expectJob(benches, job, expectations);
    });
  }

  test('selections drawn at random', async () => {
    const random = randomNumbers(22);
    const upTo = (limit: number): number => 1 + Math.floor(random() * limit);
    for (let turn = 0; turn < 40; turn++) {
      const features = upTo(64);
      const elements = upTo(100);
      const places = allPlaces(features).filter(() => random() < 0.7);
      // Some out of order: runs of every length, from every alignment.
      for (let swap = 0; swap < 3; swap++) places.unshift(...places.splice(upTo(places.length) - 1));
      const { job, expectations } = makeJob({
        batch: upTo(6),
        features,
        elements,
        places,
        prefix: upTo(elements + 1) - 1,
        prefixFeature: upTo(features) - 1,
        outputGap: 32 * (upTo(3) - 1),
        rectangle: [upTo(2), upTo(2)],
      });
      await expectJob(benches, job, expectations);
    }
  });

  const small: Shape = { batch: 4, features: 3, elements: 32, places: lowerTriangle(3), prefix: 4 };
  const refused: Record<string, Partial<Shape>> = {
    FP32: { values: { type: DATA_TYPE.FP32 } },
    'no features': { values: { features: 0 } },
    '65 features': { values: { features: 65 } },
    'an unaligned feature stride': { values: { feature_stride: 32 } },
    'a prefix feature that is not there': { values: { prefix_feature: 3 } },
    'rows too short for the output': { values: { output_stride: 0 } },
    'a place outside S': {
      places: [
        [0, 1],
        [3, 0],
      ],
    },
    'a run that leaves S': {
      places: [
        [2, 2],
        [2, 3],
      ],
    },
  };
  for (const [name, change] of Object.entries(refused)) {
    test(`refuses ${name}`, async () => {
      await expectFailure(benches, makeJob({ ...small, ...change }).job, 'INVALID_COMMAND');
    });
  }

  test('says when a sample does not fit into local memory', async () => {
    const { job } = makeJob({ batch: 1, features: 64, elements: 4096, places: lowerTriangle(4) });
    await expectFailure(benches, job, 'INSUFFICIENT_LOCAL_MEMORY');
  });
});
