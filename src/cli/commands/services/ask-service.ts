import { STATUS_CODES } from 'node:http'
import type { Readable } from 'node:stream'
import { connectionErrorCode, describeConnectionFailure } from '../../../network/connection-failure.js'
import { NotReachedError } from '../../../relay-client/client-error.js'
import type { ClientAnswer, RelayClient } from '../../../relay-client/relay-client.js'
import { errorMessage } from '../../../values/failures/system-error.js'
import { printable } from '../../../values/text/printable.js'
import { formatDuration } from '../../../values/time/duration.js'

/** More of an answer is not read: a test is no download. */
const MAX_BYTES = 1024 * 1024
/** The text of a relay's own answer. */
const MAX_TEXT_BYTES = 4 * 1024

export interface ServiceQuestion {
  readonly key: string
  readonly path: string
  /** The path below which the keys are, with a slash at both ends. */
  readonly root: string
  /** A token that may call the service. */
  readonly token: string | undefined
  readonly timeoutMs: number
}

/** The place where a request ended. */
export interface Stop {
  /** In words: the relay that was asked, another relay, the client, or the way between. */
  readonly at: string
  readonly why: string
}

export interface ServiceAnswer {
  /** Undefined where nothing answered. */
  readonly status?: number
  /** A blank and the words for the status; empty where there are none. */
  readonly reason?: string
  /** The time until the head came. */
  readonly headMs?: number
  /** The time until the last byte that was read. */
  readonly wholeMs?: number
  readonly bytes?: number
  /** Whether there are no more bytes. */
  readonly isWhole?: boolean
  /** Undefined: the service answered. */
  readonly stopped?: Stop
}

/** Sends a GET to a service, and reads the beginning of its answer. */
export async function askService(client: RelayClient, question: ServiceQuestion): Promise<ServiceAnswer> {
  const { key, path, root, token, timeoutMs } = question
  const signal = AbortSignal.timeout(timeoutMs)
  const from = performance.now()
  const elapsed = () => Math.round(performance.now() - from)
  let answer: ClientAnswer
  try {
    const headers = { 'user-agent': 'treeline', ...(token === undefined ? {} : { 'x-relay-token': token }) }
    answer = await client.send({ method: 'GET', path: key + path, root, headers, signal, isPatient: true })
  } catch (error) {
    if (!signal.aborted) return { stopped: stopBefore(error) }
    const why = `no answer within ${formatDuration(timeoutMs)}: the service, or something before it, is silent`
    return { stopped: { at: 'an unknown place', why } }
  }
  const words = STATUS_CODES[answer.status]
  const head = { status: answer.status, reason: words === undefined ? '' : ` ${words}`, headMs: elapsed() }
  const body = await readBeginning(answer.body)
  const whole = { wholeMs: elapsed(), bytes: body.bytes, isWhole: body.isWhole }
  if (body.failure !== undefined && !signal.aborted) {
    const at = `byte ${body.bytes} of the answer`
    return { ...head, ...whole, stopped: { at, why: `the connection broke off: ${errorMessage(body.failure)}` } }
  }
  const stopped = isOfRelay(answer, body.text) ? stopIn(body.text.trim()) : undefined
  return { ...head, ...whole, ...(stopped === undefined ? {} : { stopped }) }
}

/** The stop before the head of an answer. A relay resets the connection where an answer that has begun breaks off. */
function stopBefore(error: unknown): Stop {
  const code = connectionErrorCode(error instanceof NotReachedError ? error.cause : error)
  if (code !== 'ECONNRESET' && code !== 'UND_ERR_SOCKET') {
    return { at: 'the relay that is asked', why: errorMessage(error) }
  }
  const why = `the connection broke off (${code}): the answer of the service did, or this is a port for TLS, to ask with https://`
  return { at: 'the beginning of the answer', why }
}

interface Beginning {
  readonly bytes: number
  readonly text: string
  readonly isWhole: boolean
  readonly failure?: unknown
}

async function readBeginning(body: Readable): Promise<Beginning> {
  const kept: Buffer[] = []
  let bytes = 0
  const text = () => Buffer.concat(kept).toString('utf8')
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      if (bytes < MAX_TEXT_BYTES) kept.push(chunk)
      bytes += chunk.length
      if (bytes > MAX_BYTES) return { bytes, text: text(), isWhole: false }
    }
    return { bytes, text: text(), isWhole: true }
  } catch (failure) {
    return { bytes, text: text(), isWhole: false, failure }
  }
}

const FIRST_ERROR = 400
const NO_ANSWER = /^no answer from the service: /
const NO_CLIENT = /(?:^|: )no client is registered under /

/** Whether a relay or client answered in place of the service: in plain text, and without a `Date`, which web servers send. */
function isOfRelay({ status, headers }: ClientAnswer, text: string): boolean {
  if (status < FIRST_ERROR) return false
  const isPlain = headers['content-type'] === 'text/plain; charset=utf-8'
  const isBare = isPlain && headers.date === undefined && headers.server === undefined
  return isBare || (status === 502 && (NO_ANSWER.test(text) || NO_CLIENT.test(text)))
}

/** The place that a refusal names: relays behind the first one begin theirs with their id. */
function stopIn(text: string): Stop {
  const why = printable(text)
  if (NO_ANSWER.test(text)) return { at: 'the service, as its client sees it', why: inWords(why) }
  const named = /^([\w.-]+): (.*)$/s.exec(text)
  if (named?.[1] !== undefined) return { at: `the relay ${named[1]}`, why: printable(named[2] ?? '') }
  return { at: 'the relay that is asked', why }
}

/** A client tells the code of the system alone. */
function inWords(why: string): string {
  const code = /: (E[A-Z_]+|[A-Z]+_[A-Z_]+)$/.exec(why)?.[1]
  if (code === undefined) return why
  return why.slice(0, -code.length) + describeConnectionFailure(Object.assign(new Error(code), { code }))
}
