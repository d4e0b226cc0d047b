import assert from 'node:assert/strict'
import { METHODS } from 'node:http'
import { test } from 'node:test'
import fc from 'fast-check'
import { anyAnswer, anyRequests, mutated } from '../../support/http1/any-messages.js'
import { compareReadings, type OnlyOurs } from '../../support/http1/compare.js'
import { LlhttpServer, readAnswerByLlhttp } from '../../support/http1/llhttp.js'
import { readAnswers, readRequests } from '../../support/http1/read-messages.js'
import { orLong } from '../../support/long.js'

const RUNS = orLong(4_000, 400_000)

/** Messages that ours accepts and llhttp refuses, by its code. Ours passes them on, each for the reason beside it. */
const ONLY_OURS: Readonly<Record<string, (found: OnlyOurs) => boolean>> = {
  // llhttp has a list of methods. RFC 9110, 9.1: any token is one, and services have their own.
  HPE_INVALID_METHOD: ({ message }) => !METHODS.includes(message.start.split(' ')[0] ?? ''),
  // Programs send UTF-8 in targets, and services take it. It has nothing to do with framing.
  HPE_INVALID_URL: ({ message }) => /[\x80-\xff]/.test(message.start),
  // llhttp takes some interim answers and some forms of these fields for the end of the connection. Nothing is read otherwise.
  HPE_CLOSED_CONNECTION: ({ before }) =>
    before.some(
      ({ start, fields }) => /^1.* 0$/.test(start) || fields.some(name => /^(proxy-)?connection$/i.test(name))
    )
}

function checkOnlyOurs(found: OnlyOurs | undefined): void {
  if (found === undefined) return
  const isKnown = ONLY_OURS[found.code]?.(found) ?? false
  assert.ok(isKnown, `llhttp refuses with ${found.code} what ours accepts: ${JSON.stringify(found.message)}`)
}

test('no requests are read by ours otherwise than by llhttp', async () => {
  const llhttp = new LlhttpServer()
  let accepted = 0
  await fc.assert(
    fc.asyncProperty(mutated(anyRequests), async text => {
      const bytes = Buffer.from(text, 'latin1')
      const ours = readRequests([bytes])
      checkOnlyOurs(compareReadings(ours, await llhttp.read(bytes)))
      accepted += ours.problem === undefined ? 1 : 0
    }),
    { numRuns: RUNS }
  )
  assert.ok(accepted > RUNS / 10 && accepted < RUNS, `${accepted} of ${RUNS} are accepted: that compares little`)
})

test('no answers are read by ours otherwise than by llhttp', async () => {
  let accepted = 0
  await fc.assert(
    fc.asyncProperty(
      mutated(anyAnswer),
      fc.constantFrom('GET', 'HEAD'),
      fc.boolean(),
      async (text, method, isEnded) => {
        const bytes = Buffer.from(text, 'latin1')
        const ours = readAnswers([bytes], method, isEnded)
        checkOnlyOurs(compareReadings(ours, await readAnswerByLlhttp(bytes, method, isEnded)))
        accepted += ours.problem === undefined ? 1 : 0
      }
    ),
    { numRuns: RUNS }
  )
  assert.ok(accepted > RUNS / 10 && accepted < RUNS, `${accepted} of ${RUNS} are accepted: that compares little`)
})
