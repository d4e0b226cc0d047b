import assert from 'node:assert/strict'
import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { pino } from 'pino'
import { formatCertificate } from '../../src/keys/certificates/pem.js'
import { CertificateRenewal } from '../../src/membership/member/certificate-renewal.js'
import type { JoinAnswer } from '../../src/membership/member-types.js'
import { type IssueRequest, makeAuthority, openAuthority } from '../../src/membership/root/certificate-authority.js'
import { isIsoTime } from '../../src/values/time/iso-time.js'

const DAY_MS = 86_400_000

interface Line {
  readonly level: number
  readonly msg: string
  readonly reason: string
  readonly until: string
}

interface Setting {
  readonly certificateFile: string
  readonly keyFile: string
  readonly nowMs: number
  /** The key itself, as PEM. */
  readonly key: string
  /** Another one for the same key, or as `other` says. */
  readonly issue: (nowMs: number, lifetimeMs: number, other?: Partial<IssueRequest>) => Promise<string>
}

/** A machine that has a certificate of `lifetimeMs` from now on. */
async function setUp(t: TestContext, lifetimeMs = 90 * DAY_MS): Promise<Setting> {
  const folder = await mkdtemp(join(tmpdir(), 'treeline-keeper-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const nowMs = Date.now()
  const ca = await makeAuthority('Test CA', nowMs)
  const authority = openAuthority(ca)
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const publicKey = keys.publicKey.export({ type: 'spki', format: 'der' })
  const asked = { id: 'relay-a', purpose: 'relay', hostnames: ['relay-a.example'], publicKey } as const
  const issue = async (atMs: number, lifeMs: number, other: Partial<IssueRequest> = {}) =>
    formatCertificate(await authority.issue({ ...asked, nowMs: atMs, lifetimeMs: lifeMs, ...other }))
  const [certificateFile, keyFile] = [join(folder, 'certificate.pem'), join(folder, 'tls.key')]
  await writeFile(certificateFile, await issue(nowMs, lifetimeMs))
  const key = String(keys.privateKey.export({ type: 'pkcs8', format: 'pem' }))
  await writeFile(keyFile, key)
  await writeFile(join(folder, 'ca.pem'), ca.certificate) // as join writes it
  return { certificateFile, keyFile, nowMs, key, issue }
}

/** The first line of log of a keeper whose root cannot be reached, so many days into the 90 of its certificate. */
async function firstLineAfter(t: TestContext, days: number): Promise<Line> {
  const { certificateFile, keyFile, nowMs } = await setUp(t)
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
  const { certificateFile, keyFile, nowMs, issue } = await setUp(t, lifetimeMs)
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
  const { certificateFile, keyFile, nowMs, issue } = await setUp(t)
  const former = await readFile(certificateFile, 'utf8')
  const other = await setUp(t)
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
  const { certificateFile, keyFile, nowMs, issue } = await setUp(t)
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
  const { certificateFile, keyFile, nowMs, issue } = await setUp(t)
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

test('what the CA of the tree did not issue for this very machine takes the place of no certificate', async t => {
  const { certificateFile, keyFile, nowMs, key, issue } = await setUp(t)
  const former = await readFile(certificateFile, 'utf8')
  const publicKey = createPublicKey(key).export({ type: 'spki', format: 'der' })
  const stranger = await setUp(t)
  const later = nowMs + 59 * DAY_MS
  const refused = [
    // by a CA of the attacker's, for this machine's key, id and purpose
    [await stranger.issue(later, 900 * DAY_MS, { publicKey }), 'the CA of this tree did not issue it'],
    [await issue(later, 90 * DAY_MS, { id: 'relay-b' }), 'it is for "relay-b", not for relay-a'],
    [await issue(later, 90 * DAY_MS, { purpose: 'node', hostnames: [] }), 'it is for a node, not a relay'],
    [await issue(nowMs - DAY_MS, 90 * DAY_MS), 'it is older than the one that is here'],
    ['junk', 'it is no certificate']
  ] as const
  for (const days of [1, 59.5, 70]) {
    for (const [certificate, reason] of refused) {
      const lines: Line[] = []
      const placed: boolean[] = []
      const keeper = new CertificateRenewal({
        certificateFile,
        keyFile,
        caFiles: () => [],
        renew: async () => answerWith(certificate),
        onAnswer: async (_, isNew) => void placed.push(isNew),
        askEveryMs: 1,
        logger: pino({}, { write: line => lines.push(JSON.parse(line)) }),
        now: () => nowMs + days * DAY_MS
      })
      await keeper.ask(new AbortController().signal)
      assert.equal(await readFile(certificateFile, 'utf8'), former, reason)
      assert.deepEqual(placed, [])
      const told = lines.map(({ level, msg, reason: why }) => [level, msg, why])
      const expected = [50, 'refused the certificate that the policy server gave; the former one stays', reason]
      assert.deepEqual(told, days < 60 ? [expected] : [])
    }
  }
})

test('a certificate that could not be used at once is used later, and the answer is given on all the same', async t => {
  const { certificateFile, keyFile, nowMs, issue } = await setUp(t)
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

test('renewal refuses a certificate of another CA, and takes the next good one without what follows it', async t => {
  const { certificateFile, keyFile, nowMs, key, issue } = await setUp(t)
  const former = await readFile(certificateFile, 'utf8')
  const stranger = await setUp(t)
  const publicKey = createPublicKey(key).export({ type: 'spki', format: 'der' })
  const junk = await stranger.issue(nowMs + 94 * DAY_MS, 900 * DAY_MS, { publicKey })
  const good = await issue(nowMs + 94 * DAY_MS, 90 * DAY_MS)
  const lines: Line[] = []
  const renewed = async (certificate: string) => {
    const keeper = new CertificateRenewal({
      certificateFile,
      keyFile,
      caFiles: () => [],
      renew: async () => answerWith(certificate),
      onAnswer: async (_, isNew) => ended(isNew),
      logger: pino({}, { write: line => lines.push(JSON.parse(line)) }),
      now: () => nowMs + 95 * DAY_MS // it has ended, so that it does not settle
    })
    let ended: (isNew: boolean) => void = () => undefined
    const outcome = new Promise<boolean>(resolve => {
      ended = resolve
    })
    keeper.start()
    const isNew = await outcome
    await keeper.stop()
    return isNew
  }
  assert.equal(await renewed(junk), false)
  assert.equal(await readFile(certificateFile, 'utf8'), former)
  assert.deepEqual(
    lines.map(({ level, reason }) => [level, reason]),
    [[50, 'the CA of this tree did not issue it']]
  )
  assert.equal(await renewed(good + junk), true)
  assert.equal(await readFile(certificateFile, 'utf8'), good)
})

function answerWith(certificate: string): JoinAnswer {
  const policyServer = { id: 'root', hostname: 'root.example', port: undefined, certificates: '' }
  return { id: 'relay-a', kind: 'relay', certificate, ca: '', policyServer }
}
