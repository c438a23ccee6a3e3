/** A ranking request: a DLRM scores a catalogue of 3,200 films on an emulated MTIA 2i; the ten best are printed. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Device, type TensorData, typedArrayOf } from 'mtia-runtime';
import { readTensorProto } from 'mtia-runtime/compiler';
import { printRanking } from './print-ranking.js';

const folder = fileURLToPath(new URL('../../examples/films-dlrm/', import.meta.url));

function readTensor(name: string): TensorData {
  const { type, data } = readTensorProto(readFileSync(`${folder}test_data_set_0/${name}.pb`));
  return typedArrayOf(type, data);
}

// The device boots its firmware; the model is compiled for it, and its weights go to device memory.
await using device = await Device.open({ generation: '2i' });
await using model = await device.loadModel(`${folder}model.pt2`, { batch: 3200 });

// The request: one dense tensor and seven bags of ids for every film. The answer arrives by interrupt.
const inputs = Object.fromEntries(model.inputs.map(({ name }, index) => [name, readTensor(`input_${index}`)]));
const answer = await model.run(inputs);

printRanking({
  films: JSON.parse(readFileSync(`${folder}films.json`, 'utf8')),
  scores: answer.outputs[model.outputs[0]?.name ?? ''],
  expected: readTensor('output_0'),
  answer,
});
