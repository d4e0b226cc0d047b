import { createHash, createHmac, type Hash, type Hmac } from 'node:crypto'
import { SignatureV4 } from '@smithy/signature-v4'
import type { AwsScope } from '../../config/services/service-config.js'
import type { Fields } from '../http1/fields.js'
import type { AwsCredentials } from './aws-keys.js'
import { isS3 } from './aws-scope.js'
import type { AwsTarget } from './aws-target.js'

/** A request without the caller's signature. */
export interface UnsignedRequest {
  readonly method: string
  readonly target: AwsTarget
  /** The value of `Host`. */
  readonly host: string
  readonly fields: Fields
  /** The SHA-256 of the body in hexadecimal digits, or a name such as `UNSIGNED-PAYLOAD`. */
  readonly payload: string
}

/** The header with the hash of the body. S3 demands it, others do not know it. */
const PAYLOAD_FIELD = 'x-amz-content-sha256'

/**
 * Signs a request with version 4. Signed are `Host`, `Content-Type`, `Content-MD5` and `X-Amz-…`: what AWS demands, and
 * nothing that a proxy on the way may change.
 * @param at the time of the signature: AWS takes one that is at most 15 minutes off
 * @returns the fields to add
 */
export async function signAwsRequest(
  { method, target, host, fields, payload }: UnsignedRequest,
  credentials: AwsCredentials,
  scope: AwsScope,
  at: Date
): Promise<string[]> {
  const headers: Record<string, string> = { host, [PAYLOAD_FIELD]: payload, ...signedFields(fields) }
  const { accessKeyId, secretAccessKey, sessionToken } = credentials
  const signer = new SignatureV4({
    ...scope,
    credentials: { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) },
    sha256: Sha256,
    uriEscapePath: !isS3(scope)
  })
  const request = { method, protocol: 'https:', hostname: host, path: target.path, query: queryOf(target), headers }
  const unsignable = isS3(scope) ? {} : { unsignableHeaders: new Set([PAYLOAD_FIELD]) }
  const signed = await signer.sign(request, { signingDate: at, ...unsignable })
  const added = ['authorization', 'x-amz-date', 'x-amz-security-token', ...(isS3(scope) ? [PAYLOAD_FIELD] : [])]
  return added.flatMap(name => {
    const value = signed.headers[name]
    return value === undefined ? [] : [name, value]
  })
}

/** The query as the library takes it. */
function queryOf({ query }: AwsTarget): Record<string, string[]> {
  return Object.fromEntries(Object.entries(query).map(([name, values]) => [name, [...values]]))
}

/** The fields that are signed, by their names in lower case; those of one name are joined (RFC 9110, 5.3). */
function signedFields(fields: Fields): Record<string, string> {
  const signed: Record<string, string> = {}
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const name = (fields[at] ?? '').toLowerCase()
    if (name !== 'content-type' && name !== 'content-md5' && !name.startsWith('x-amz-')) continue
    const value = Buffer.from(fields[at + 1] ?? '', 'latin1').toString('utf8')
    signed[name] = signed[name] === undefined ? value : `${signed[name]},${value}`
  }
  return signed
}

/** SHA-256 and HMAC, as the library takes them. */
class Sha256 {
  #hash: Hash | Hmac

  constructor(private readonly secret?: Parameters<typeof bytesOf>[0]) {
    this.#hash = this.#begin()
  }

  update(data: Parameters<typeof bytesOf>[0]): void {
    this.#hash.update(bytesOf(data))
  }

  digest(): Promise<Uint8Array> {
    return Promise.resolve(new Uint8Array(this.#hash.digest()))
  }

  reset(): void {
    this.#hash = this.#begin()
  }

  #begin(): Hash | Hmac {
    return this.secret === undefined ? createHash('sha256') : createHmac('sha256', bytesOf(this.secret))
  }
}

function bytesOf(data: string | ArrayBuffer | ArrayBufferView): Uint8Array {
  if (typeof data === 'string') return Buffer.from(data)
  return ArrayBuffer.isView(data) ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : new Uint8Array(data)
}
