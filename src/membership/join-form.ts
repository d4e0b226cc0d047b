import { canonicalHost } from '../network/host-name.js'
import { RelayError } from '../values/failures/relay-error.js'
import { isNodeId } from '../values/ids.js'
import type { JoinAnswer, JoinRequest } from './member-types.js'

/** The size of the fields of a join: three of them are keys and signatures of some hundred bytes. */
export const MAX_JOIN_BYTES = 16 * 1024
const BASE64URL = /^[\w-]*$/

/** The fields of `POST v1/join`, all texts. */
export interface JoinFields {
  readonly token: string
  readonly id: string
  readonly hostname: string
  readonly port?: string
  readonly request: string
  readonly signing_key: string
  readonly signing_proof: string
}

/** The answer of `POST v1/join` and `POST v1/join/renew`. */
export interface JoinAnswerJson {
  readonly id: string
  readonly kind: string
  readonly certificate: string
  readonly ca: string
  readonly policy_server: {
    readonly id: string
    readonly hostname: string
    readonly port?: number
    readonly certificates: string
  }
}

export function toFields(join: JoinRequest): JoinFields {
  return {
    token: join.token,
    id: join.id,
    hostname: join.hostname,
    ...(join.port === undefined ? {} : { port: String(join.port) }),
    request: join.request.toString('base64url'),
    signing_key: join.signingKey.toString('base64url'),
    signing_proof: join.signingProof.toString('base64url')
  }
}

/** @throws {RelayError} INVALID_INPUT naming the field */
export function fromFields(fields: JoinFields): JoinRequest {
  return {
    token: fields.token,
    id: fields.id,
    hostname: fields.hostname,
    port: fields.port === undefined ? undefined : readPort(fields.port),
    request: readBytes('request', fields.request),
    signingKey: readBytes('signing_key', fields.signing_key),
    signingProof: readBytes('signing_proof', fields.signing_proof)
  }
}

/** @throws {RelayError} INVALID_INPUT */
export function readBytes(name: string, text: string): Buffer {
  if (BASE64URL.test(text)) return Buffer.from(text, 'base64url')
  throw new RelayError('INVALID_INPUT', `invalid ${name}: expected base64url`)
}

function readPort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0
  if (isPort(port)) return port
  throw new RelayError('INVALID_INPUT', `invalid port: ${JSON.stringify(text.slice(0, 20))}; expected 1 to 65535`)
}

export function answerToJson({ policyServer, ...rest }: JoinAnswer): JoinAnswerJson {
  const { id, hostname, port, certificates } = policyServer
  return { ...rest, policy_server: { id, hostname, ...(port === undefined ? {} : { port }), certificates } }
}

/** @returns undefined when `value` is no answer to a join */
export function answerFromJson(value: unknown): JoinAnswer | undefined {
  if (!isObject(value) || !isObject(value.policy_server)) return undefined
  const { id, kind, certificate, ca } = value
  const { id: above, hostname, port, certificates } = value.policy_server
  if (typeof id !== 'string' || !isNodeId(id) || (kind !== 'relay' && kind !== 'node')) return undefined
  if (typeof certificate !== 'string' || typeof ca !== 'string' || typeof certificates !== 'string') return undefined
  if (typeof above !== 'string' || !isNodeId(above) || typeof hostname !== 'string') return undefined
  const host = canonicalHost(hostname)
  if (host === undefined) return undefined
  if (port !== undefined && !isPort(port)) return undefined
  return { id, kind, certificate, ca, policyServer: { id: above, hostname: host, port, certificates } }
}

function isPort(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 65_535
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
