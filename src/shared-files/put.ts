import type { OutboxRow, OutboxStore } from '../storage/outbox-store.js'
import type { SharedFileStore } from '../storage/shared-file-store.js'
import type { Neighbours } from '../tree/hop.js'
import type { CurrentTopology, Topology } from '../tree/topology.js'
import { asDiskFailure, type StorageFolder } from '../values/disk-failure.js'
import { type FileMetadata, MAX_METADATA_BYTES, metadataFromQuery, parseMetadata } from '../values/file-metadata.js'
import { verifyFileSignature } from '../values/file-signature.js'
import { checkFileKey, type FileKey } from '../values/ids.js'
import { formatPassed, passOn } from '../values/passed-relays.js'
import { RelayError } from '../values/relay-error.js'
import type { AcceptanceClock } from './acceptance-clock.js'
import {
  type AdmittedMetadata,
  admitMetadata,
  checkSender,
  expiryOf,
  notRecognized,
  sourceKeyHash
} from './admission.js'
import { type BodyReader, bodyTooLarge, createBodyReader, type PaceLimits } from './body-reader.js'
import { type FileLayout, keyName } from './file-layout.js'
import { type FileRecord, isOlder } from './file-record.js'
import type { Forwarder } from './forwarder.js'
import type { HandedDown } from './handed-down.js'
import { IncomingFile, type PlaceableFile } from './incoming-file.js'
import type { KeyLock } from './key-lock.js'
import { readMetadataBlock } from './metadata-block.js'
import { checkNotBack, type NextStep, nextStep } from './next-step.js'
import { relaysOnTheWay } from './on-behalf.js'
import type { Outbox } from './outbox.js'
import type { OwnFolders } from './own-folders.js'
import type { Placement } from './placement.js'
import type { Quota } from './quota.js'
import { type ReceivedBytes, receiveBytes } from './receive.js'
import type { PutOutcome, PutRequest } from './types.js'
import { type Upload, UploadAdmission } from './upload-admission.js'

/** What ends a metadata block: a line feed, perhaps with a carriage return. */
const EMPTY_LINE_BYTES = 2

export interface PutRules {
  readonly maxBodyBytes: number
  readonly allowSha1: boolean
  readonly requireSender: boolean
}

export interface PutParts {
  readonly selfId: string
  readonly rules: PutRules
  readonly pace: PaceLimits
  /** Bodies being received at once; each takes up to about 0.6 MB of memory. */
  readonly maxUploads: number
  readonly layout: FileLayout
  readonly ownFolders: OwnFolders
  /** That a full or broken disk is told of. */
  readonly folders: readonly StorageFolder[]
  readonly topology: CurrentTopology
  readonly neighbours: Neighbours
  readonly files: SharedFileStore
  readonly outboxStore: OutboxStore
  readonly outbox: Outbox
  readonly placement: Placement
  readonly forwarder: Forwarder
  readonly handedDown: HandedDown
  readonly lock: KeyLock
  readonly quota: Quota
  readonly nextSpoolName: () => string
  readonly acceptance: AcceptanceClock
  readonly now: () => number
}

/** What is settled about a PUT before its body is read. */
interface Arrival {
  readonly request: PutRequest
  readonly step: NextStep
  readonly keyHash: string
  readonly passed: readonly string[]
  /** When the metadata came in the query: the whole body is the file. */
  readonly admitted: AdmittedMetadata | undefined
  /** The ttl counts from here. */
  readonly nowMs: number
}

/** The way of a PUT: checked, received, verified, then put in place or passed on. */
export function createPut(parts: PutParts): (request: PutRequest) => Promise<PutOutcome> {
  const { rules, now, outbox, placement, quota } = parts
  const uploads = new UploadAdmission(parts.maxUploads)

  /** All that can be known without the body, in the contract's order. */
  function check(request: PutRequest): Arrival {
    const { key, query, origin } = request
    checkFileKey(key)
    const topology = parts.topology()
    const passed = passOn(origin.passed, parts.selfId)
    const step = nextStep(key.target, parts.topology, parts.neighbours)
    checkNotBack(step, origin, key.target)
    if (rules.requireSender) checkSender(key.source, origin.caller, topology)
    const keyHash = keyHashOf(request, topology)
    const nowMs = now()
    const hasMetadataInQuery = query.header !== undefined
    const admitted = hasMetadataInQuery ? admit(metadataFromQuery(query), key, keyHash) : undefined
    if ((request.contentLength ?? 0) > rules.maxBodyBytes + spareBytes(request)) throw bodyTooLarge(rules.maxBodyBytes)
    return { request, step, keyHash, passed, admitted, nowMs }
  }

  function keyHashOf({ key, sourceKeyHash: vouched, isVouchedByStranger }: PutRequest, topology: Topology): string {
    try {
      return sourceKeyHash(key.source, topology, vouched)
    } catch (error) {
      const isFinal = !isVouchedByStranger || topology.isRoot || !(error instanceof RelayError)
      throw isFinal ? error : notRecognized(error)
    }
  }

  function admit(metadata: FileMetadata, key: FileKey, keyHash: string) {
    return admitMetadata(metadata, { keyHash, source: key.source, allowSha1: rules.allowSha1 })
  }

  function storedOfSource(key: FileKey): number {
    const isKnown = parts.files.findHash(key) !== undefined || parts.outboxStore.findByKey(key) !== undefined
    if (isKnown) return -1 // it takes the place of one
    return parts.files.countOfSource(key.source) + parts.outboxStore.countOfSource(key.source)
  }

  async function receive(
    arrival: Arrival,
    upload: Upload,
    file: IncomingFile
  ): Promise<[Omit<FileRecord, 'acceptedAtMs'>, ReceivedBytes]> {
    const { request, keyHash } = arrival
    const reader = createBodyReader(request.body, {
      maxBytes: rules.maxBodyBytes,
      spareBytes: spareBytes(request),
      signal: request.origin.signal,
      pace: parts.pace
    })
    try {
      request.onContinue()
      const { admitted, first } = await readMetadata(reader, arrival, keyHash)
      const room = upload.begin()
      reader.expectPace()
      const bytes = await receiveBytes(reader, first, admitted.metadata.algorithm, file, room)
      if (bytes.sizeBytes > rules.maxBodyBytes) throw bodyTooLarge(rules.maxBodyBytes)
      verifyFileSignature(admitted.metadata, admitted.publicKey, request.key, bytes.hash)
      const expiresAtMs = expiryOf(admitted.metadata, request.query.ttl, arrival.nowMs)
      return [recordOf(arrival, admitted, bytes.sizeBytes, expiresAtMs), bytes]
    } finally {
      reader.close()
    }
  }

  async function readMetadata(
    reader: BodyReader,
    { request, admitted }: Arrival,
    keyHash: string
  ): Promise<{ admitted: AdmittedMetadata; first: Buffer | undefined }> {
    if (admitted !== undefined) return { admitted, first: undefined }
    const { text, rest } = await readMetadataBlock(reader)
    return { admitted: admit(parseMetadata(text), request.key, keyHash), first: rest }
  }

  /** The lock of the key is held: what is here now is what it has to be later than. */
  async function acceptanceOf({ request }: Arrival, key: FileKey, waiting: OutboxRow | undefined): Promise<number> {
    if (request.acceptedAtMs !== undefined) return request.acceptedAtMs
    const here = [parts.files.find(key), waiting].flatMap(row => (row === undefined ? [] : [row.acceptedAtMs]))
    return parts.acceptance.next(here)
  }

  async function deliver(
    arrival: Arrival,
    received: Omit<FileRecord, 'acceptedAtMs'>,
    bytes: ReceivedBytes,
    file: IncomingFile
  ) {
    const { origin } = arrival.request
    if (parts.handedDown.isBack('PUT', received, received.hash, origin.caller)) {
      throw new RelayError(
        'UNKNOWN_NODE',
        `unknown target: ${received.target} is not known below yet, and this came back`
      )
    }
    const release = await parts.lock.acquire(keyName(received))
    try {
      const waiting = parts.outboxStore.findByKey(received)
      const record = { ...received, acceptedAtMs: await acceptanceOf(arrival, received, waiting) }
      if (waiting?.state === 'pending' && isOlder(record, waiting, now())) return 'superseded'
      const placeable = { file, inMemory: bytes.inMemory }
      if (arrival.step.kind === 'here') return await keep(record, placeable, waiting)
      if (isOlderThanKept(record)) return 'superseded'
      const how = { keyHash: arrival.keyHash, passed: formatPassed(arrival.passed), requestId: origin.requestId }
      const outcome = await parts.forwarder.forward(arrival.step, record, placeable, how, origin.signal)
      return outcome === 'keep-here' ? await keep(record, placeable, waiting) : outcome
    } finally {
      release()
    }
  }

  /** Whether what is kept here, for the relay that would get this one, is newer. */
  function isOlderThanKept(record: FileRecord): boolean {
    const kept = parts.files.find(record)
    return kept !== undefined && kept.via === wayTo(record) && isOlder(record, kept, now())
  }

  function wayTo({ target }: FileKey): string {
    return relaysOnTheWay(target, parts.topology())
  }

  /** @param waiting an entry from when the target was to be reached elsewhere; it goes in the same transaction */
  async function keep(record: FileRecord, bytes: PlaceableFile, waiting: OutboxRow | undefined) {
    const outcome = await placement.place({ ...record, via: wayTo(record) }, bytes, () => {
      if (waiting !== undefined) outbox.removeRow(waiting.id)
    })
    if (outcome === 'stored' && waiting !== undefined) await outbox.removeFile(waiting)
    return outcome
  }

  return async request => {
    const arrival = check(request)
    const { key, contentLength = 0, origin } = request
    const upload = uploads.open(origin.caller, () =>
      quota.reserve(key.source, contentLength, () => storedOfSource(key))
    )
    const file = new IncomingFile(parts.layout, parts.ownFolders, parts.nextSpoolName(), arrival.step.kind === 'here')
    try {
      const [record, bytes] = await receive(arrival, upload, file)
      return await deliver(arrival, record, bytes, file)
    } catch (error) {
      throw asDiskFailure(error, parts.folders)
    } finally {
      upload.release()
      await file.discard()
    }
  }
}

/** Room for the metadata in the body of a file that is passed on. */
function spareBytes({ isPassedOn }: PutRequest): number {
  return isPassedOn ? MAX_METADATA_BYTES + EMPTY_LINE_BYTES : 0
}

function recordOf(
  arrival: Arrival,
  admitted: AdmittedMetadata,
  sizeBytes: number,
  expiresAtMs: number
): Omit<FileRecord, 'acceptedAtMs'> {
  const { target, source, fileId } = arrival.request.key
  const { metadata, publicKey, text } = admitted
  return {
    target,
    source,
    fileId,
    sizeBytes,
    algorithm: metadata.algorithm,
    hash: metadata.hashValue,
    expiresAtMs,
    signedAtMs: publicKey.kind === 'ed25519' ? (metadata.signedAtMs ?? null) : null,
    metadata: text
  }
}
