import type { Neighbours } from '../../hops/hop.js'
import {
  type FileMetadata,
  MAX_METADATA_BYTES,
  metadataFromQuery,
  parseMetadata
} from '../../keys/signatures/file-metadata.js'
import { coveredSigningTime, verifyFileSignature } from '../../keys/signatures/verify-file.js'
import { callerTurns } from '../../process/pacing/turn-limit.js'
import type { CurrentTopology, Topology } from '../../tree/topology.js'
import { asDiskFailure, type StorageFolder } from '../../values/failures/disk-failure.js'
import { RelayError } from '../../values/failures/relay-error.js'
import { checkFileKey, type FileKey } from '../../values/ids.js'
import { passOn } from '../../values/passed-relays.js'
import type { PutOutcome, PutRequest } from '../file-types.js'
import type { Forwarding } from '../forwarding/forwarding.js'
import { checkNotBack, nextStep } from '../forwarding/next-step.js'
import type { Keeping } from '../keeping/keeping.js'
import { SpoolFile } from '../keeping/spool-file.js'
import { hashBody, type ReceivedBytes } from './body-hashing.js'
import { BodyReader, bodyTooLarge, type PaceLimits } from './body-reader.js'
import type { Arrival, Delivery, UnacceptedFile } from './delivery.js'
import { readMetadataBlock } from './metadata-block.js'
import {
  type AdmittedMetadata,
  admitMetadata,
  checkSender,
  expiryOf,
  notRecognized,
  sourceKeyHash
} from './metadata-checks.js'
import type { Upload, UploadAdmission } from './upload-admission.js'

/** The size of the end of a metadata block: a line feed, perhaps with a carriage return. */
const EMPTY_LINE_BYTES = 2

export interface PutRules {
  readonly maxBodyBytes: number
  readonly allowSha1: boolean
  readonly requireSender: boolean
}

export interface PutParts
  extends Pick<Keeping, 'layout' | 'folders' | 'files' | 'quota' | 'nextSpoolName' | 'now'>,
    Pick<Forwarding, 'outboxRepository'> {
  readonly selfId: string
  readonly topology: CurrentTopology
  readonly neighbours: Neighbours
  readonly rules: PutRules
  readonly pace: PaceLimits
  readonly uploads: UploadAdmission
  /** The folders that a message about a full or broken disk names. */
  readonly storageFolders: readonly StorageFolder[]
  readonly deliver: Delivery
}

/** The way of a PUT: checked, received, verified, then put in place or passed on. */
export class Put {
  constructor(private readonly parts: PutParts) {}

  /** @throws {RelayError | HopRefusedError} with nothing visible changed */
  async accept(request: PutRequest): Promise<PutOutcome> {
    const { layout, folders, quota, uploads, nextSpoolName, deliver, storageFolders } = this.parts
    if (request.query.header !== undefined && callerTurns.isOver) await callerTurns.next()
    const arrival = this.#check(request)
    const { key, contentLength = 0, origin } = request
    const upload = await uploads.open(origin.caller, async () =>
      quota.reserve(key.source, contentLength, await this.#storedOfSource(key))
    )
    const file = new SpoolFile(layout, folders, nextSpoolName(), arrival.step.kind === 'here')
    try {
      const [record, bytes] = await this.#receive(arrival, upload, file)
      return await deliver(arrival, record, bytes, file)
    } catch (error) {
      throw asDiskFailure(error, storageFolders)
    } finally {
      upload.release()
      await file.discard()
    }
  }

  /** All that can be known without the body, in the contract's order. */
  #check(request: PutRequest): Arrival {
    const { rules, selfId, neighbours, now } = this.parts
    const { key, query, origin } = request
    checkFileKey(key)
    const topology = this.parts.topology()
    const passed = passOn(origin.passed, selfId)
    const step = nextStep(key.target, this.parts.topology, neighbours)
    checkNotBack(step, origin, key.target)
    if (rules.requireSender) checkSender(key.source, origin.caller, topology)
    const keyHash = keyHashOf(request, topology)
    const nowMs = now()
    const hasMetadataInQuery = query.header !== undefined
    const admitted = hasMetadataInQuery ? this.#admit(metadataFromQuery(query), key, keyHash) : undefined
    if ((request.contentLength ?? 0) > rules.maxBodyBytes + spareBytes(request)) throw bodyTooLarge(rules.maxBodyBytes)
    return { request, step, keyHash, passed, admitted, nowMs }
  }

  #admit(metadata: FileMetadata, key: FileKey, keyHash: string): AdmittedMetadata {
    return admitMetadata(metadata, { keyHash, source: key.source, allowSha1: this.parts.rules.allowSha1 })
  }

  async #storedOfSource(key: FileKey): Promise<number> {
    const { files, outboxRepository, quota } = this.parts
    if (quota.maxFilesPerSource === undefined) return 0
    const known = (await files.findHash(key)) ?? (await outboxRepository.findByKey(key))
    return known === undefined ? files.countOfSource(key.source) : -1 // it takes the place of one
  }

  async #receive(arrival: Arrival, upload: Upload, file: SpoolFile): Promise<[UnacceptedFile, ReceivedBytes]> {
    const { request } = arrival
    const { maxBodyBytes } = this.parts.rules
    const reader = new BodyReader(request.body, {
      maxBytes: maxBodyBytes,
      spareBytes: spareBytes(request),
      signals: [request.origin.signal, upload.evicted],
      pace: this.parts.pace
    })
    try {
      request.onContinue()
      const { admitted, first } = await this.#readMetadata(reader, arrival)
      const room = await upload.begin()
      reader.expectPace()
      const bytes = await hashBody(reader, first, admitted.metadata.algorithm, file, room)
      if (bytes.sizeBytes > maxBodyBytes) throw bodyTooLarge(maxBodyBytes)
      if (callerTurns.isOver) await callerTurns.next()
      verifyFileSignature(admitted.metadata, admitted.publicKey, request.key, bytes.hash)
      const expiresAtMs = expiryOf(admitted.metadata, request.query.ttl, arrival.nowMs)
      return [recordOf(arrival, admitted, bytes.sizeBytes, expiresAtMs), bytes]
    } finally {
      reader.close()
    }
  }

  async #readMetadata(
    reader: BodyReader,
    { request, admitted, keyHash }: Arrival
  ): Promise<{ admitted: AdmittedMetadata; first: Buffer | undefined }> {
    if (admitted !== undefined) return { admitted, first: undefined }
    const { text, rest } = await readMetadataBlock(reader)
    if (callerTurns.isOver) await callerTurns.next()
    return { admitted: this.#admit(parseMetadata(text), request.key, keyHash), first: rest }
  }
}

function keyHashOf({ key, sourceKeyHash: vouched, isVouchedByStranger }: PutRequest, topology: Topology): string {
  try {
    return sourceKeyHash(key.source, topology, vouched)
  } catch (error) {
    const isFinal = !isVouchedByStranger || topology.isRoot || !(error instanceof RelayError)
    throw isFinal ? error : notRecognized(error)
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
): UnacceptedFile {
  const { target, source, fileId } = arrival.request.key
  const { metadata, text } = admitted
  return {
    target,
    source,
    fileId,
    sizeBytes,
    algorithm: metadata.algorithm,
    hash: metadata.hashValue,
    expiresAtMs,
    signedAtMs: coveredSigningTime(metadata),
    metadata: text
  }
}
