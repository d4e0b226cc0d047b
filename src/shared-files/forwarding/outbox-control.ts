import type { SharedFiles } from '../file-types.js'
import type { Forwarding } from './forwarding.js'

/** The outbox as operators see and change it. */
export function createOutboxControl(forwarding: Forwarding, now: () => number): SharedFiles['outbox'] {
  const { outbox, outboxRepository, backoff, worker } = forwarding
  return {
    list: (after, nodeId) => outbox.list(after, nodeId),
    counts: nodeId => outboxRepository.counts(nodeId),
    countByTarget: () => outboxRepository.countByTarget(),
    async retry(id) {
      const count = await outboxRepository.makeDue(now(), id)
      backoff.reset()
      worker.pump()
      return count
    },
    async drop(id) {
      worker.interrupt(id)
      return outbox.drop(id)
    }
  }
}
