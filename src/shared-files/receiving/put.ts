import type { Neighbours } from '../../hops/hop.js'
import type { Topology } from '../../tree/topology.js'
import { asDiskFailure, type StorageFolder } from '../../values/failures/disk-failure.js'
import { RelayError } from '../../values/failures/relay-error.js'
import { checkFileKey, type FileKey } from '../../values/ids.js'
import {
  type FileMetadata,
  MAX_METADATA_BYTES,
  metadataFromQuery,
  parseMetadata
} from '../../values/keys/file-metadata.js'
import { verifyFileSignature } from '../../values/keys/file-signature.js'
import { passOn } from '../../values/passed-relays.js'
import { checkNotBack, nextStep } from '../forwarding/next-step.js'
import type { FileLayout } from '../keeping/file-layout.js'
import type { FileRecord } from '../keeping/file-record.js'
import type { OwnFolders } from '../keeping/own-folders.js'
import type { Quota } from '../keeping/quota.js'
import { SpoolFile } from '../keeping/spool-file.js'
import type { PutOutcome, PutRequest } from '../types.js'
import {
  type AdmittedMetadata,
  admitMetadata,
  checkSender,
  expiryOf,
  notRecognized,
  sourceKeyHash
} from './admission.js'
import { hashBody, type ReceivedBytes } from './body-hashing.js'
import { BodyReader, bodyTooLarge, type PaceLimits } from './body-reader.js'
import { type Arrival, createDelivery, type DeliveryParts } from './delivery.js'
import { readMetadataBlock } from './metadata-block.js'
import { type Upload, UploadAdmission } from './upload-admission.js'

/** The size of the end of a metadata block: a line feed, perhaps with a carriage return. */
const EMPTY_LINE_BYTES = 2

export interface PutRules {
  readonly maxBodyBytes: number
  readonly allowSha1: boolean
  readonly requireSender: boolean
}

export interface PutParts extends DeliveryParts {
  readonly selfId: string
  readonly rules: PutRules
  readonly pace: PaceLimits
  /** Bodies being received at once; each takes up to about 0.6 MB of memory. */
  readonly maxUploads: number
  readonly layout: FileLayout
  readonly ownFolders: OwnFolders
  /** The folders that a message about a full or broken disk names. */
  readonly folders: readonly StorageFolder[]
  readonly neighbours: Neighbours
  readonly quota: Quota
  readonly nextSpoolName: () => string
}

/** The way of a PUT: checked, received, verified, then put in place or passed on. */
export function createPut(parts: PutParts): (request: PutRequest) => Promise<PutOutcome> {
  const { rules, now, quota } = parts
  const uploads = new UploadAdmission(parts.maxUploads)
  const deliver = createDelivery(parts)

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

  async function storedOfSource(key: FileKey): Promise<number> {
    if (quota.maxFilesPerSource === undefined) return 0
    const known = (await parts.files.findHash(key)) ?? (await parts.outboxRepository.findByKey(key))
    return known === undefined ? parts.files.countOfSource(key.source) : -1 // it takes the place of one
  }

  async function receive(
    arrival: Arrival,
    upload: Upload,
    file: SpoolFile
  ): Promise<[Omit<FileRecord, 'acceptedAtMs'>, ReceivedBytes]> {
    const { request, keyHash } = arrival
    const reader = new BodyReader(request.body, {
      maxBytes: rules.maxBodyBytes,
      spareBytes: spareBytes(request),
      signals: [request.origin.signal, upload.evicted],
      pace: parts.pace
    })
    try {
      request.onContinue()
      const { admitted, first } = await readMetadata(reader, arrival, keyHash)
      const room = await upload.begin()
      reader.expectPace()
      const bytes = await hashBody(reader, first, admitted.metadata.algorithm, file, room)
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

  return async request => {
    const arrival = check(request)
    const { key, contentLength = 0, origin } = request
    const upload = await uploads.open(origin.caller, async () =>
      quota.reserve(key.source, contentLength, await storedOfSource(key))
    )
    const file = new SpoolFile(parts.layout, parts.ownFolders, parts.nextSpoolName(), arrival.step.kind === 'here')
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
    signedAtMs: publicKey.kind === 'ed25519' ? metadata.signedAtMs : undefined,
    metadata: text
  }
}
