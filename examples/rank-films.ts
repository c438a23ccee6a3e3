/** A ranking request: a DLRM scores a catalogue of 3,200 films on an emulated MTIA 2i; the ten best are printed. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Device } from 'mtia-runtime';
import { readTensorProto, type TensorProto } from 'mtia-runtime/compiler';
import { printRanking } from './print-ranking.js';

const folder = fileURLToPath(new URL('../../examples/films-dlrm/', import.meta.url));
const read = (name: string): TensorProto => readTensorProto(readFileSync(`${folder}test_data_set_0/${name}.pb`));

// The request: one dense tensor and seven bags of ids for every film of the catalogue.
const request = Array.from({ length: 8 }, (_, number) => read(`input_${number}`));
const inputs = Object.fromEntries(request.map((tensor) => [tensor.name, tensor.data]));
const catalogue = request[0]?.shape[0] ?? 0;

// The device boots its firmware; the model is compiled for it, and its weights go to device memory.
await using device = await Device.open({ generation: '2i' });
const model = await device.loadModel(`${folder}model.pt2`, { batch: catalogue });

// The answer arrives by interrupt; the event loop is free meanwhile.
const answer = await model.run(inputs);

printRanking({
  films: JSON.parse(readFileSync(`${folder}films.json`, 'utf8')),
  scores: answer.outputs['score'],
  expected: read('output_0').data,
  answer,
});
