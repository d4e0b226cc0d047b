import type { Readable } from 'node:stream'
import { type HopOutcome, type Neighbours, POLICY_SERVER } from '../hops/hop.js'
import { readPrefix } from '../hops/read-prefix.js'
import { FORM, PASSED_HEADER } from '../network/header-names.js'
import { HopRefusedError, RelayError } from '../values/failures/relay-error.js'
import { formatPassed, passOn } from '../values/passed-relays.js'
import { membersOf, parseJson } from '../values/text/json.js'
import { answerFromJson, toFields } from './join-form.js'
import type { JoinAnswer, Joining, RequestWay } from './member-types.js'

/** The size of an answer: two certificates, and those of the policy server. */
const MAX_ANSWER_BYTES = 256 * 1024
const ANSWER_LIMIT_MS = 30_000

/**
 * Asks the policy server for what the root alone answers.
 * @param form undefined: a GET
 * @returns its answer, JSON
 * @throws {RelayError} HOP_UNREACHABLE, LOOP_DETECTED @throws {HopRefusedError} for its refusal
 */
export async function askTowardsRoot(
  neighbours: Pick<Neighbours, 'up'>,
  selfId: string,
  path: string,
  form: Record<string, string> | undefined,
  { passed, signal }: RequestWay
): Promise<unknown> {
  const way = formatPassed(passOn(passed, selfId))
  const body = form === undefined ? undefined : Buffer.from(new URLSearchParams(form).toString())
  const outcome = await neighbours.up().request({
    method: body === undefined ? 'GET' : 'POST',
    path,
    headers: {
      accept: 'application/json',
      [PASSED_HEADER]: way,
      ...(body === undefined ? {} : { 'content-type': FORM, 'content-length': String(body.length) })
    },
    ...(body === undefined ? {} : { body: () => body }),
    signal
  })
  return readAnswer(outcome)
}

/** A relay that is not the root knows no tokens: it hands joins to its policy server, and the answers back. */
export function createJoinProxy(neighbours: Pick<Neighbours, 'up'>, selfId: string): Joining {
  const ask = (path: string, form: Record<string, string> | undefined, way: RequestWay) =>
    askTowardsRoot(neighbours, selfId, path, form, way)

  async function askToJoin(path: string, form: Record<string, string>, way: RequestWay): Promise<JoinAnswer> {
    const answer = answerFromJson(await ask(path, form, way))
    if (answer === undefined) throw unreachable('the answer of the policy server is none to a join')
    return answer
  }

  return {
    async ca(way) {
      const certificate = membersOf(await ask('v1/join/ca', undefined, way))?.ca
      if (typeof certificate === 'string') return certificate
      throw unreachable('the policy server did not answer with a certificate')
    },
    join: (request, way) => askToJoin('v1/join', { ...toFields(request) }, way),
    renew: (request, way) => askToJoin('v1/join/renew', { request: request.toString('base64url') }, way)
  }
}

async function readAnswer(outcome: HopOutcome): Promise<unknown> {
  if (outcome.kind === 'unreachable') throw unreachable(outcome.reason)
  const value = parseJson(await readText(outcome.body))
  if (outcome.kind === 'answered') return value
  const text = messageIn(value)?.replaceAll(/\p{C}/gu, ' ').slice(0, 500) ?? 'the policy server does not say why'
  throw new HopRefusedError(POLICY_SERVER, outcome.status, text)
}

function messageIn(value: unknown): string | undefined {
  const message = membersOf(value)?.message
  return typeof message === 'string' ? message : undefined
}

async function readText(body: Readable): Promise<string> {
  return (await readPrefix(body, MAX_ANSWER_BYTES, ANSWER_LIMIT_MS)).toString('utf8')
}

function unreachable(reason: string): RelayError {
  return new RelayError('HOP_UNREACHABLE', reason)
}
