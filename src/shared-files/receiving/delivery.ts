import type { CurrentTopology } from '../../tree/topology.js'
import { RelayError } from '../../values/failures/relay-error.js'
import type { FileKey } from '../../values/ids.js'
import { formatPassed } from '../../values/passed-relays.js'
import type { PutRequest } from '../file-types.js'
import type { Forwarding } from '../forwarding/forwarding.js'
import type { NextStep } from '../forwarding/next-step.js'
import { relaysOnTheWay } from '../forwarding/on-behalf.js'
import { keyName } from '../keeping/file-layout.js'
import { type Acceptance, type FileRecord, isOlder, type QueuedFile } from '../keeping/file-record.js'
import type { Keeping } from '../keeping/keeping.js'
import type { PlaceableFile, SpoolFile } from '../keeping/spool-file.js'
import { type AcceptanceClock, acceptedAsStated } from './acceptance-clock.js'
import type { ReceivedBytes } from './body-hashing.js'
import type { AdmittedMetadata } from './metadata-checks.js'

export interface DeliveryParts
  extends Pick<Keeping, 'files' | 'placement' | 'lock' | 'now'>,
    Pick<Forwarding, 'outbox' | 'outboxRepository' | 'forwarder' | 'legacyLoopGuard'> {
  readonly topology: CurrentTopology
  readonly acceptance: AcceptanceClock
}

/** The facts that are settled about a PUT before its body is read. */
export interface Arrival {
  readonly request: PutRequest
  readonly step: NextStep
  readonly keyHash: string
  readonly passed: readonly string[]
  /** When the metadata came in the query: the whole body is the file. */
  readonly admitted: AdmittedMetadata | undefined
  /** The ttl counts from here. */
  readonly nowMs: number
}

/** A file of which is not yet settled when, and as which, it was accepted. */
export type UnacceptedFile = Omit<FileRecord, keyof Acceptance>

export type Delivery = ReturnType<typeof createDelivery>

/** Delivers a file that was received and verified: puts it in place here, or passes it on. */
export function createDelivery(parts: DeliveryParts) {
  const { now, outbox, placement } = parts

  /** The lock of the key is held: what is here now is what it has to be later than. */
  async function acceptanceOf({ request, nowMs }: Arrival, key: FileKey, waiting: QueuedFile | undefined) {
    if (request.stated !== undefined) return acceptedAsStated(request.stated, nowMs)
    return parts.acceptance.accept([await parts.files.find(key), waiting].filter(copy => copy !== undefined))
  }

  async function deliver(arrival: Arrival, received: UnacceptedFile, bytes: ReceivedBytes, file: SpoolFile) {
    const { origin } = arrival.request
    if (parts.legacyLoopGuard.isBack('PUT', received, received.hash, origin.caller)) {
      throw new RelayError(
        'UNKNOWN_NODE',
        `unknown target: ${received.target} is not known below yet, and this came back`
      )
    }
    const release = await parts.lock.acquire(keyName(received))
    try {
      const waiting = await parts.outboxRepository.findByKey(received)
      const record = { ...received, ...(await acceptanceOf(arrival, received, waiting)) }
      if (waiting?.state === 'pending' && isOlder(record, waiting, now())) return 'superseded'
      const placeable = { file, inMemory: bytes.inMemory }
      if (arrival.step.kind === 'here') return await keep(record, placeable, waiting)
      if (await isOlderThanKept(record)) return 'superseded'
      const how = { keyHash: arrival.keyHash, passed: formatPassed(arrival.passed), requestId: origin.requestId }
      const outcome = await parts.forwarder.forward(arrival.step, record, placeable, how, origin)
      return outcome === 'keep-here' ? await keep(record, placeable, waiting) : outcome
    } finally {
      release()
    }
  }

  /** Whether what is kept here, for the relay that would get this one, is newer. */
  async function isOlderThanKept(record: FileRecord): Promise<boolean> {
    const kept = await parts.files.find(record)
    return kept !== undefined && kept.via === wayTo(record) && isOlder(record, kept, now())
  }

  function wayTo({ target }: FileKey): string {
    return relaysOnTheWay(target, parts.topology())
  }

  /** @param waiting an entry from when the target was to be reached elsewhere; its record goes in the same step */
  async function keep(record: FileRecord, bytes: PlaceableFile, waiting: QueuedFile | undefined) {
    const place = () => placement.place({ ...record, via: wayTo(record) }, bytes, { insteadOf: waiting })
    const outcome =
      waiting === undefined ? await place() : await outbox.withdrawing(waiting.id, place, result => result === 'stored')
    if (outcome === 'stored' && waiting !== undefined) await outbox.removeFile(waiting)
    return outcome === 'stored' ? outcome : 'superseded'
  }

  return deliver
}
