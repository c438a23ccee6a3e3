/** placeholder */
import { MtiaError } from '../driver/index.js';
export class Capture {
  refuse(what: string): MtiaError {
    return new MtiaError('CAPTURE_UNSUPPORTED', what);
  }
}
