import assert from 'node:assert/strict'
import { createPublicKey } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { pino } from 'pino'
import { CertificateRenewal } from '../../src/membership/member/certificate-renewal.js'
import { answerWith, DAY_MS, type Line, setUpRenewal } from '../support/parts/renewals.js'

test('what the CA of the tree did not issue for this very machine takes the place of no certificate', async t => {
  const { certificateFile, keyFile, nowMs, key, issue } = await setUpRenewal(t)
  const former = await readFile(certificateFile, 'utf8')
  const publicKey = createPublicKey(key).export({ type: 'spki', format: 'der' })
  const stranger = await setUpRenewal(t)
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

test('renewal refuses a certificate of another CA, and takes the next good one without what follows it', async t => {
  const { certificateFile, keyFile, nowMs, key, issue } = await setUpRenewal(t)
  const former = await readFile(certificateFile, 'utf8')
  const stranger = await setUpRenewal(t)
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
