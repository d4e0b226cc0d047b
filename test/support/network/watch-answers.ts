import { subscribe } from 'node:diagnostics_channel'
import type { ClientRequest, IncomingMessage } from 'node:http'
import { RELAY_HEADER, REQUEST_ID_HEADER } from '../../../src/network/header-names.js'
import { type Answered, createAnswerCheck } from './described-answers.js'

/**
 * Loaded before the tests of a process: an answer that a relay gives to any of their requests, by `node:http`, `fetch` or
 * undici, fails the test when the description of the API does not name its status or content type.
 */
let check: ReturnType<typeof createAnswerCheck> | undefined

function watch(answered: Answered): void {
  check ??= createAnswerCheck()
  const problem = check(answered)
  if (problem !== undefined) throw new Error(`${problem}: see src/api/answers/described-failures.ts, npm run openapi`)
}

subscribe('http.client.response.finish', message => {
  const { request, response } = message as { readonly request: ClientRequest; readonly response: IncomingMessage }
  const { headers, statusCode = 0 } = response
  if (!isOfRelay(name => headers[name] !== undefined)) return
  watch({ method: request.method, target: request.path, status: statusCode, type: headers['content-type'] })
})

subscribe('undici:request:headers', message => {
  const { request, response } = message as UndiciAnswer
  const headers = new Map<string, string>()
  for (let at = 0; at < response.headers.length; at += 2) {
    headers.set(String(response.headers[at]).toLowerCase(), String(response.headers[at + 1]))
  }
  if (!isOfRelay(name => headers.has(name))) return
  watch({
    method: request.method,
    target: request.path,
    status: response.statusCode,
    type: headers.get('content-type')
  })
})

interface UndiciAnswer {
  readonly request: { readonly method: string; readonly path: string }
  readonly response: { readonly statusCode: number; readonly headers: readonly (Buffer | string)[] }
}

/** Relays put both on all answers; servers that stand in for relays do not. */
function isOfRelay(has: (name: string) => boolean): boolean {
  return has(RELAY_HEADER) && has(REQUEST_ID_HEADER)
}
