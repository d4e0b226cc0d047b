import type { FileKey } from '../values/ids.js'

/** Observes shared files, for metrics. Its functions must not throw. */
export interface SharedFilesObserver {
  /** A file was put in place here. */
  readonly onStored?: (sizeBytes: number, key: FileKey) => void
  /** A file was put into the outbox. */
  readonly onPending?: (sizeBytes: number) => void
  /** A hop was asked to take a file: by the sender's own PUT, or from the outbox. */
  readonly onForwarded?: (hop: string, outcome: ForwardOutcome, fromOutbox: boolean) => void
  /** A purge ended. */
  readonly onPurged?: (files: number, durationMs: number) => void
}

export type ForwardOutcome = 'delivered' | 'refused' | 'unreachable'
