/** A stream whose commands wait until the case lets them go. */
import { HOST_COMMAND } from '../hw/index.js';
import type { Device, Stream } from '../streaming-api/index.js';

/** Beyond those that streams take for themselves. A device holds one stream at a time. */
const SEMAPHORE = 700;

export interface HeldStream {
  readonly stream: Stream;
  /** Resolves when everything enqueued so far is done. */
  release(): Promise<void>;
}

/** What is enqueued on the stream from now on waits. */
export async function holdStream(device: Device): Promise<HeldStream> {
  const subject = await device.createStream();
  const signaller = await device.createStream();
  subject.commands.submit({ opcode: HOST_COMMAND.WAIT, a: SEMAPHORE, b: 1 }).catch(() => undefined);
  return {
    stream: subject,
    release: async () => {
      await signaller.commands.submit({ opcode: HOST_COMMAND.SIGNAL, a: SEMAPHORE, b: 1 });
      await subject.synchronize();
    },
  };
}
