import { createHash, timingSafeEqual, X509Certificate } from 'node:crypto'
import type { Agent as HttpAgent, IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { isIP } from 'node:net'
import type { ConnectionOptions } from 'node:tls'
import { identityCheck } from '../../hops/peers/peer-identity.js'
import type { JoinToken } from '../../keys/tokens/join-token.js'
import { describeConnectionFailure } from '../../network/connection-failure.js'
import { FORM } from '../../network/header-names.js'
import { unbracketed } from '../../network/host-and-port.js'
import { boundInformational } from '../../network/informational-answers.js'
import { membersOf, parseJson } from '../../values/text/json.js'
import { readWholeText } from '../../values/text/whole-text.js'
import { readRequest } from '../certificate-request.js'
import { answerFromJson, toFields } from '../join-form.js'
import type { JoinAnswer, JoinRequest } from '../member-types.js'
import { readCertificate, sortPolicyServerCertificates, whyNotIssuedTo } from './issued-certificates.js'

// Node's own client for HTTPS: the client of the commands costs an agent 15 MiB, for one request at each renewal.

const MAX_ANSWER_BYTES = 256 * 1024
const LIMIT_MS = 60_000

/** Why a machine cannot join, for its user. */
export class JoinError extends Error {
  override name = 'JoinError'
}

/** The relay that a machine joins through. */
export interface Entrance {
  /** `https://host:port`. */
  readonly url: URL
  /** Leads through a proxy. */
  readonly agent: HttpAgent | undefined
}

/** The CA of the tree, proved by the token. PEM. */
export interface TrustedCa {
  readonly certificate: string
  /** The relay that gave it. */
  readonly relay: string
}

/**
 * Asks for the CA's certificate, believing nobody, and compares its SHA-256 with the one in the token. Nothing of the
 * token is sent.
 * @throws {JoinError}
 */
export async function fetchCa(entrance: Entrance, token: Pick<JoinToken, 'caHash'>): Promise<TrustedCa> {
  const answer = await ask(entrance, 'v1/join/ca', undefined, { rejectUnauthorized: false })
  const { ca, relay } = membersOf(answer) ?? {}
  if (typeof ca !== 'string' || typeof relay !== 'string') {
    throw new JoinError(`${entrance.url.origin} did not answer with a CA's certificate; is it a Treeline relay?`)
  }
  const certificate = readCaCertificate(ca)
  const hash = createHash('sha256').update(certificate.raw).digest()
  if (!timingSafeEqual(hash, token.caHash)) {
    throw new JoinError(
      `${entrance.url.origin} presents another CA (sha256:${hash.toString('hex')}) than the one in the token: ` +
        'this is another tree, or somebody in between. The token was not sent'
    )
  }
  return { certificate: certificate.toString(), relay }
}

/** Connects again, trusting that CA alone, and joins. @throws {JoinError} also with the reason of a refusal */
export async function join(entrance: Entrance, ca: TrustedCa, request: JoinRequest): Promise<JoinAnswer> {
  const form = new URLSearchParams({ ...toFields(request) }).toString()
  const checked = identityCheck(unbracketed(entrance.url.hostname), ca.relay)
  const value = await ask(entrance, 'v1/join', form, { ca: ca.certificate, checkServerIdentity: checked })
  const answer = answerFromJson(value)
  if (answer === undefined || answer.id !== request.id) throw new JoinError('the answer is none to this join')
  const { certificate, certificates } = await checkGiven(answer, request, readCaCertificate(ca.certificate))
  return { ...answer, certificate, ca: ca.certificate, policyServer: { ...answer.policyServer, certificates } }
}

/**
 * Checks what the relay, and those on the way, answered: what the CA did not issue is not written.
 * @returns PEM: the machine's own certificate, and those of its policy server
 * @throws {JoinError}
 */
async function checkGiven(
  answer: JoinAnswer,
  request: JoinRequest,
  ca: X509Certificate
): Promise<{ certificate: string; certificates: string }> {
  const { id, kind, policyServer } = answer
  const certificate = readCertificate(answer.certificate)
  const { publicKey } = readRequest(request.request)
  const reason =
    certificate === undefined ? 'it is no certificate' : whyNotIssuedTo({ id, purpose: kind }, certificate, [ca])
  if (certificate === undefined || reason !== undefined) {
    throw new JoinError(`the certificate that was given cannot be used: ${reason}`)
  }
  if (!certificate.publicKey.export({ type: 'spki', format: 'der' }).equals(publicKey)) {
    throw new JoinError('the certificate that was given cannot be used: it is for another key')
  }
  const { accepted, refused } = sortPolicyServerCertificates(policyServer, [ca], Date.now())
  if (accepted === '' && refused.length > 0) {
    throw new JoinError(
      `the certificate that was given for the policy server ${policyServer.id} cannot be used: ${refused[0]?.reason}`
    )
  }
  return { certificate: certificate.toString(), certificates: accepted }
}

async function ask(
  { url, agent }: Entrance,
  path: string,
  form: string | undefined,
  trust: Pick<ConnectionOptions, 'ca' | 'checkServerIdentity' | 'rejectUnauthorized'>
): Promise<unknown> {
  const host = unbracketed(url.hostname)
  const { status, text } = await new Promise<{ status: number; text: string }>((resolve, reject) => {
    const request = httpsRequest(
      new URL(path, url.origin),
      {
        ...trust,
        ...(agent === undefined ? { agent: false } : { agent }),
        ...(isIP(host) === 0 ? { servername: host } : {}),
        method: form === undefined ? 'GET' : 'POST',
        minVersion: 'TLSv1.3',
        signal: AbortSignal.timeout(LIMIT_MS),
        headers: {
          accept: 'application/json',
          ...(form === undefined ? {} : { 'content-type': FORM, 'content-length': Buffer.byteLength(form) })
        }
      },
      response => {
        readText(response).then(body => resolve({ status: response.statusCode ?? 0, text: body }), reject)
      }
    )
    boundInformational(request)
    request.on('error', reject)
    request.end(form)
  }).catch((cause: unknown) => {
    throw new JoinError(`${url.origin} cannot be asked: ${describeConnectionFailure(cause)}`, { cause })
  })
  const value = parseJson(text)
  if (status < 400) return value
  const message = membersOf(value)?.message
  const why = typeof message === 'string' ? message : text
  throw new JoinError(`refused (${status}): ${why.replaceAll(/\p{C}/gu, ' ').trim().slice(0, 500)}`)
}

function readText(response: IncomingMessage): Promise<string> {
  const tooLong = () => new Error(`the answer has more than ${MAX_ANSWER_BYTES} bytes`)
  return readWholeText(response, MAX_ANSWER_BYTES, tooLong)
}

/** The first of a PEM text alone: what was hashed is what is trusted. */
function readCaCertificate(pem: string): X509Certificate {
  try {
    return new X509Certificate(pem)
  } catch (cause) {
    throw new JoinError('what was given as the CA is no certificate', { cause })
  }
}
