/** What the thread that opened a card and one that attached it say to each other. */
import type { MessagePort } from 'node:worker_threads';
import type { CardProperties } from './card.js';
import type { CompletionRecord } from './completion.js';
import type { ErrorMessage } from './error-message.js';
import type { ResetNotice } from './notices.js';
import type { SharedFunction } from './pci-function.js';
import type { QueueIdentity } from './queue-set.js';
import type { Command } from './ring.js';

/** A card on its way to another thread, which may attach it once. The port has to be in the transfer list. */
export interface SharedCard {
  readonly properties: CardProperties;
  readonly function: SharedFunction;
  /** Element 0: resets that have begun, in memory that all threads share. */
  readonly resets: Int32Array;
  readonly deadlineMs: number;
  readonly port: MessagePort;
}

/** A request about what was made between two resets. */
interface InLife {
  /** Resets before it; what was made before the latest one is no more. */
  readonly life: number;
}

/** What the thread that opened the card does for one that attached it. */
export interface OwnerRequests {
  createContext(argument: InLife): Promise<number>;
  destroyContext(argument: InLife & { readonly context: number }): Promise<boolean>;
  /** Nothing of the context is mapped any more, and its number is free. */
  releaseContext(argument: InLife & { readonly context: number }): void;
  takeQueue(argument: InLife & { readonly context: number }): QueueIdentity;
  /** The queue is disabled, and the device does nothing more for it. */
  giveQueue(argument: InLife & { readonly context: number; readonly number: number }): void;
  administer(argument: InLife & { readonly command: Command }): Promise<CompletionRecord>;
  reset(reason: string | undefined): Promise<void>;
  lost(argument: InLife & { readonly error: ErrorMessage }): void;
  /** The thread has let go of the card, and lives on. */
  closed(argument: undefined): void;
}

/** What the thread that attached the card is asked by the one that opened it. */
export interface AttachedRequests {
  /** Answered when nothing of what was made so far reaches the card any more. */
  resetting(notice: ResetNotice): void;
  reset(notice: ResetNotice): void;
  lost(error: ErrorMessage): void;
  /** As resetting, for good. */
  closing(argument: undefined): void;
}
