/** A card that has less than its generation: a virtual function of a shared one, or a host with few vectors to give. */
export interface CardLimits {
  /** Queue pairs, the administration queue included; 1 or more. As specified when absent. */
  readonly queues?: number;
  /** MSI-X vectors, 1 or more. As specified when absent. */
  readonly interruptVectors?: number;
  /** Whether the work queue engine hands a job to a rectangle of processing elements at once. As specified when absent. */
  readonly broadcast?: boolean;
}
