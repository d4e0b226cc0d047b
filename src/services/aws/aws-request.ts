import type { AwsScope } from '../../config/services/service-config.js'
import type { ServiceRequest } from '../exchange/service-request.js'
import { type Fields, fieldValues } from '../http1/fields.js'
import { requestFraming } from '../http1/framing.js'
import { isS3 } from './aws-scope.js'

/** A body up to here is held and hashed: AWS wants its hash before its first byte. */
export const MAX_HASHED_BYTES = 8 * 1024 * 1024

/**
 * The way of the body of a request to AWS. `held`: until it is complete, and its hash signed. `streamed`: it goes on as it
 * comes. `refused`: it cannot be signed, which is the answer to the caller.
 */
export type BodyPlan =
  | { readonly kind: 'held' }
  /** @see UnsignedRequest.payload */
  | { readonly kind: 'streamed'; readonly payload: string }
  | { readonly kind: 'refused'; readonly status: number; readonly message: string }

const UNSIGNED_PAYLOAD = 'UNSIGNED-PAYLOAD'
const PAYLOAD_FIELD = 'x-amz-content-sha256'
/** Chunks without signatures, with a checksum behind them: they stay right when the head is signed again. */
const UNSIGNED_CHUNKS = 'STREAMING-UNSIGNED-PAYLOAD-TRAILER'

/** The fields by which a caller signs, for credentials that are not those of the edge. In lower case. */
export const SIGNATURE_FIELDS: ReadonlySet<string> = new Set([
  'authorization',
  'x-amz-date',
  'x-amz-region-set',
  'x-amz-security-token',
  PAYLOAD_FIELD
])
/** The fields of a body that is sent otherwise than it came. */
const OF_BODY = new Set(['content-length', 'expect', 'trailer'])

export function planBody({ body, head }: Pick<ServiceRequest, 'body' | 'head'>, scope: AwsScope): BodyPlan {
  const [declared] = fieldValues(head.fields, PAYLOAD_FIELD)
  if (declared?.startsWith('STREAMING-') === true) {
    if (declared === UNSIGNED_CHUNKS && isS3(scope)) return { kind: 'streamed', payload: declared }
    return {
      kind: 'refused',
      status: 501,
      message:
        'the body is signed in chunks, and chunks cannot be signed again: have the program sign bodies whole or not at all'
    }
  }
  const framing = requestFraming(head)
  if (body !== 'length' || framing.kind !== 'length' || framing.bytes <= MAX_HASHED_BYTES) return { kind: 'held' }
  return isS3(scope) ? { kind: 'streamed', payload: UNSIGNED_PAYLOAD } : tooLong(scope)
}

/** The answer to a body that is too long to be hashed. */
export function tooLong(scope: AwsScope): Extract<BodyPlan, { kind: 'refused' }> {
  const bound = `the body has more than ${MAX_HASHED_BYTES} bytes, and only shorter ones are signed`
  const remedy = isS3(scope) ? 'send it with a Content-Length' : `the service ${scope.service} takes no unsigned ones`
  return { kind: 'refused', status: 413, message: `${bound}: ${remedy}` }
}

/** The fields of a request but those of the caller's signature; for a held body also but those that describe it. */
export function fieldsToSign(fields: Fields, isHeld: boolean): string[] {
  const kept: string[] = []
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const name = (fields[at] ?? '').toLowerCase()
    if (SIGNATURE_FIELDS.has(name.replaceAll('_', '-')) || (isHeld && OF_BODY.has(name))) continue
    kept.push(fields[at] ?? '', fields[at + 1] ?? '')
  }
  return kept
}
