import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { type TestContext, test } from 'node:test'
import { pino } from 'pino'
import { CertificateRenewal } from '../../src/membership/member/certificate-renewal.js'
import { isIsoTime } from '../../src/values/time/iso-time.js'
import { answerWith, DAY_MS, type Line, setUpRenewal } from '../support/parts/renewals.js'

/** The first line of log of a keeper whose root cannot be reached, so many days into the 90 of its certificate. */
async function firstLineAfter(t: TestContext, days: number): Promise<Line> {
  const { certificateFile, keyFile, nowMs } = await setUpRenewal(t)
  const line = await new Promise<string>(resolve => {
    const keeper = new CertificateRenewal({
      certificateFile,
      keyFile,
      caFiles: () => [],
      renew: () => Promise.reject(new Error('nothing listens there')),
      askEveryMs: DAY_MS,
      logger: pino({}, { write: resolve }),
      now: () => nowMs + days * DAY_MS
    })
    t.after(() => keeper.stop())
    keeper.start()
  })
  return JSON.parse(line)
}

test('that the root is away is an error once the certificate is due, and not before', async t => {
  const early = await firstLineAfter(t, 1)
  assert.deepEqual([early.level, early.reason], [30, 'nothing listens there'])
  assert.match(early.msg, /cannot ask the root/)
  const due = await firstLineAfter(t, 70)
  assert.deepEqual([due.level, due.reason], [50, 'nothing listens there'])
  assert.match(due.msg, /cannot renew the certificate yet/)
  for (const { until } of [early, due]) assert.ok(isIsoTime(until), until)
  const notYetValid = await firstLineAfter(t, -1)
  assert.equal(notYetValid.level, 50, 'made while a clock was ahead')
})

test('a certificate that was issued while the clocks were ahead is not put in place once they are right', async t => {
  const lifetimeMs = 2_000 // so that it settles at once
  const { certificateFile, keyFile, nowMs, issue } = await setUpRenewal(t, lifetimeMs)
  const former = await readFile(certificateFile, 'utf8')
  const awake = setInterval(() => undefined, 1_000) // a keeper alone keeps no process alive
  t.after(() => clearInterval(awake))
  let aheadMs = DAY_MS
  const lines: string[] = []
  const isNew = await new Promise<boolean>(resolve => {
    const keeper = new CertificateRenewal({
      certificateFile,
      keyFile,
      caFiles: () => [],
      renew: async () => {
        const certificate = await issue(nowMs + aheadMs, 90 * DAY_MS)
        aheadMs = 0
        return answerWith(certificate)
      },
      onAnswer: async (_, placed) => resolve(placed),
      logger: pino({}, { write: line => lines.push(line) }),
      now: () => nowMs + aheadMs
    })
    t.after(() => keeper.stop())
    keeper.start()
  })
  assert.equal(isNew, false)
  assert.equal(await readFile(certificateFile, 'utf8'), former)
  const { level, msg } = JSON.parse(lines[0] ?? '')
  assert.deepEqual([level, msg], [40, 'new certificate is not valid yet; the former one stays: check the clocks'])
})

test('a certificate that was issued for this key, and never came here, is put in place by asking the root', async t => {
  const { certificateFile, keyFile, nowMs, issue } = await setUpRenewal(t)
  const former = await readFile(certificateFile, 'utf8')
  const other = await setUpRenewal(t)
  const answers = [
    former,
    await issue(nowMs - DAY_MS, 90 * DAY_MS), // an older one
    await readFile(other.certificateFile, 'utf8'), // for another key
    await issue(nowMs + 1_000, 90 * DAY_MS)
  ]
  const placed: boolean[] = []
  const left = [...answers]
  const keeper = new CertificateRenewal({
    certificateFile,
    keyFile,
    caFiles: () => [],
    renew: async () => answerWith(left.shift() ?? ''),
    onAnswer: async (_, isNew) => void placed.push(isNew),
    logger: pino({ level: 'silent' }),
    now: () => nowMs + DAY_MS
  })
  const { signal } = new AbortController()
  for (const _ of answers.slice(1)) {
    await keeper.ask(signal)
    assert.equal(await readFile(certificateFile, 'utf8'), former)
  }
  await keeper.ask(signal)
  assert.equal(await readFile(certificateFile, 'utf8'), answers.at(-1))
  assert.deepEqual(placed, [true])
})

test('a certificate that cannot be read for a while is renewed when it can be read again', async t => {
  const { certificateFile, keyFile, nowMs, issue } = await setUpRenewal(t)
  const former = await readFile(certificateFile, 'utf8')
  await writeFile(certificateFile, '')
  const awake = setInterval(() => undefined, 1_000) // a keeper alone keeps no process alive
  t.after(() => clearInterval(awake))
  const lines: Line[] = []
  const isNew = await new Promise<boolean>(resolve => {
    const keeper = new CertificateRenewal({
      certificateFile,
      keyFile,
      caFiles: () => [],
      renew: async () => answerWith(await issue(nowMs + 70 * DAY_MS, 90 * DAY_MS)),
      onAnswer: async (_, placed) => resolve(placed),
      readAgainMs: 5,
      logger: pino(
        {},
        {
          write: line => {
            lines.push(JSON.parse(line))
            if (lines.length === 1) void writeFile(certificateFile, former)
          }
        }
      ),
      now: () => nowMs + 95 * DAY_MS // it has ended, so that it does not settle
    })
    t.after(() => keeper.stop())
    keeper.start()
  })
  assert.ok(isNew)
  assert.deepEqual([lines[0]?.level, lines[0]?.msg], [50, 'cannot read the own certificate; trying again'])
})

test('a certificate takes the place of one that has ended at once', async t => {
  const { certificateFile, keyFile, nowMs, issue } = await setUpRenewal(t)
  const awake = setInterval(() => undefined, 1_000)
  t.after(() => clearInterval(awake))
  const given = await issue(nowMs + 94 * DAY_MS, 90 * DAY_MS)
  await new Promise<void>(resolve => {
    const keeper = new CertificateRenewal({
      certificateFile,
      keyFile,
      caFiles: () => [],
      renew: async () => answerWith(given),
      onAnswer: async () => resolve(),
      logger: pino({}, { write: () => undefined }),
      now: () => nowMs + 95 * DAY_MS
    })
    t.after(() => keeper.stop())
    keeper.start()
  })
  assert.equal(await readFile(certificateFile, 'utf8'), given)
})

test('a certificate that could not be used at once is used later, and the answer is given on all the same', async t => {
  const { certificateFile, keyFile, nowMs, issue } = await setUpRenewal(t)
  const answer = answerWith(await issue(nowMs + 1_000, 90 * DAY_MS))
  const lines: Line[] = []
  const calls: boolean[] = []
  let used: () => void = () => undefined
  const isUsed = new Promise<void>(resolve => {
    used = resolve
  })
  const keeper = new CertificateRenewal({
    certificateFile,
    keyFile,
    caFiles: () => [],
    renew: async () => answer,
    onAnswer: async (_, isNew) => {
      calls.push(isNew)
      if (calls.length === 1) throw new Error('the disk is full')
      used()
    },
    logger: pino({}, { write: line => lines.push(JSON.parse(line)) }),
    now: () => nowMs + DAY_MS
  })
  assert.equal(await keeper.ask(new AbortController().signal), answer)
  assert.deepEqual(
    lines.filter(({ level }) => level === 50).map(({ msg, reason }) => [msg, reason]),
    [['cannot put a missed certificate in place; trying again', 'the disk is full']]
  )
  keeper.start()
  await isUsed
  await keeper.stop()
  assert.deepEqual(calls, [true, true])
})
