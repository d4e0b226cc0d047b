import type { SyncOutcome } from '../../tree-sync/tree-sync.js'
import { CounterFamily, header } from './prometheus-text.js'

/** Metrics of the tree that comes from the policy server; all zero where the tree is from files. */
export class TreeMetrics {
  readonly #outcomes = new CounterFamily(
    'treeline_tree_syncs_total',
    'Times the policy server was asked for the tree',
    'outcome'
  )
  readonly #bytes = new CounterFamily('treeline_tree_sync_bytes_total', 'Bytes of its answers')

  synced(outcome: SyncOutcome): void {
    this.#outcomes.add(1, outcome)
  }

  bytesReceived(count: number): void {
    this.#bytes.add(count)
  }

  text(): string {
    return `${this.#outcomes.text()}\n${this.#bytes.text()}`
  }
}

/** @param syncedAtMs when the policy server last said that the tree is the one in place */
export function syncedAtGauge(syncedAtMs: number | undefined): string[] {
  const name = 'treeline_tree_synced_timestamp_seconds'
  return [
    ...header(name, 'When the policy server last said that the tree in place is its own; 0 for never', 'gauge'),
    `${name} ${(syncedAtMs ?? 0) / 1_000}`
  ]
}
