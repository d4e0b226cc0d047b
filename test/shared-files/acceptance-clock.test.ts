import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Caller } from '../../src/network/caller.js'
import { acceptanceHeaders, statedAcceptance } from '../../src/shared-files/forwarding/acceptance-headers.js'
import { type Acceptance, isOlder } from '../../src/shared-files/keeping/file-record.js'
import { AcceptanceClock, acceptedAsStated } from '../../src/shared-files/receiving/acceptance-clock.js'

const NOW_MS = Date.UTC(2026, 5, 1)
const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS

/** A relay with a clock that can be set; `restart` forgets all but what was written. */
function setUp(nowMs = 0, series = 'own') {
  const clock = { nowMs, mark: 0, writes: 0 }
  const start = () =>
    new AcceptanceClock(
      () => clock.nowMs,
      async number => {
        const before = clock.mark
        clock.writes += 1
        clock.mark = Math.max(before, number)
        return { series, before }
      }
    )
  let acceptance = start()
  return {
    clock,
    start,
    restart: () => {
      acceptance = start()
    },
    accept: (here: readonly Acceptance[] = []) => acceptance.accept(here),
    next: async () => (await acceptance.accept([])).seriesNumber ?? 0
  }
}

function aged(acceptance: Acceptance) {
  return { ...acceptance, signedAtMs: undefined, expiresAtMs: Number.MAX_SAFE_INTEGER }
}

/** What the next relay notes of a file that `relay` passes on. */
function passOn(acceptance: Acceptance, sentAtMs: number, id: string, nowMs: number): Acceptance {
  const headers = new Map<string, string>(Object.entries(acceptanceHeaders(acceptance, sentAtMs)))
  const stated = statedAcceptance(name => headers.get(name), { kind: 'relay', id })
  assert.ok(stated)
  return acceptedAsStated(stated, nowMs)
}

test('the later of two files has the greater number, wherever the clock is set in between', async () => {
  const relay = setUp(100_000)
  assert.equal(await relay.next(), 100_000)
  assert.equal(await relay.next(), 100_001)
  relay.clock.nowMs = 50_000
  assert.equal(await relay.next(), 100_002)
  relay.clock.nowMs = 100_090
  assert.equal(await relay.next(), 100_090)
  assert.equal(relay.clock.writes, 1, 'it writes now and then')
  for (const nowMs of [50_000, 0, Date.UTC(2100, 0, 1), NOW_MS, 0]) {
    const before = relay.clock.mark
    relay.clock.nowMs = nowMs
    relay.restart()
    assert.ok((await relay.next()) >= before)
  }
})

test('after a kill and a start, numbers are the time: a relay that knows no series compares them with its own', async () => {
  const relay = setUp(100_000)
  await relay.next()
  relay.clock.nowMs += 150 // no relay starts faster
  relay.restart()
  assert.equal(await relay.next(), relay.clock.nowMs)
})

test('processes that share the mark never give the same number, wherever their clock is set', async () => {
  const relay = setUp(100_000)
  const processes = [relay.start(), relay.start(), relay.start()]
  const given: unknown[] = []
  for (const stepMs of [0, 400, 5_000, -3_000, 0, 1_000]) {
    relay.clock.nowMs += stepMs
    const asked = processes.flatMap(process => Array.from({ length: 5 }, () => process.accept([])))
    given.push(...(await Promise.all(asked)).map(one => one.seriesNumber))
  }
  assert.equal(new Set(given).size, given.length)
  for (const number of given) assert.ok(Number(number) < relay.clock.mark)
  assert.ok(relay.clock.mark < 110_000, 'they do not drive one another on')
})

test('the time is that of the clock, also after one that was ahead; later than copies of other relays that are here', async () => {
  const relay = setUp(NOW_MS)
  relay.clock.nowMs = Date.UTC(2100, 0, 1)
  const ahead = await relay.accept()
  relay.clock.nowMs = NOW_MS
  assert.equal((await relay.accept([ahead])).acceptedAtMs, NOW_MS)
  const other = { acceptedAtMs: NOW_MS + 5, series: 'other', seriesNumber: 9 }
  assert.equal((await relay.accept([ahead, other])).acceptedAtMs, NOW_MS + 6)
  relay.clock.nowMs = 0
  assert.ok((await relay.accept()).acceptedAtMs > NOW_MS, 'a clock in 1970 is wrong')
})

test('a stated time is set right by as much as the clocks differ; one that is ahead all the same counts as now', () => {
  const noted = (acceptedAtMs: number, sentAtMs: number | undefined) =>
    acceptedAsStated({ acceptedAtMs, sentAtMs, series: undefined, seriesNumber: undefined }, NOW_MS).acceptedAtMs
  assert.equal(noted(NOW_MS - DAY_MS, undefined), NOW_MS - DAY_MS)
  assert.equal(noted(NOW_MS + MINUTE_MS, undefined), NOW_MS + MINUTE_MS)
  assert.equal(noted(NOW_MS + MINUTE_MS + 1, undefined), NOW_MS)
  assert.equal(noted(NOW_MS - 5, NOW_MS + MINUTE_MS), NOW_MS - 5)
  assert.equal(noted(DAY_MS, DAY_MS + 7), NOW_MS - 7)
  assert.equal(noted(NOW_MS + DAY_MS - 7, NOW_MS + DAY_MS), NOW_MS - 7)
  assert.equal(noted(NOW_MS + DAY_MS, NOW_MS), NOW_MS)
  assert.equal(noted(1, 9e15), 1)
})

test('a statement that is no statement is none; a series is one of the relay that states it', () => {
  const read = (at: string, series?: string, caller: Pick<Caller, 'kind' | 'id'> = { kind: 'relay', id: 'a' }) => {
    return statedAcceptance(name => (name === 'treeline-accepted-at' ? at : series), caller)
  }
  const hex = 'a'.repeat(32)
  assert.equal(read(''), undefined)
  assert.equal(read('-1'), undefined)
  assert.equal(read('9999999999999999'), undefined)
  for (const series of [undefined, '', hex, `${hex} 5`, `${hex} 5 9999999999999999`, `${hex} 5 6 7`, `x${hex} 5 6`]) {
    const { series: none, acceptedAtMs, sentAtMs } = read('7', series) ?? {}
    assert.deepEqual([none, acceptedAtMs, sentAtMs], [undefined, 7, undefined])
  }
  const { series, ...stated } = read('7', `${hex} 5 6`) ?? {}
  assert.deepEqual(stated, { acceptedAtMs: 5, seriesNumber: 7, sentAtMs: 6 })
  assert.match(series ?? '', /^[0-9a-f]{32}$/)
  assert.equal(read('8', `${hex} 1 2`)?.series, series)
  const others = [
    { kind: 'relay', id: 'b' },
    { kind: 'relay', id: 'policy-server' },
    { kind: 'policy-server' }
  ] as const
  const all = others.map(caller => read('8', `${hex} 1 2`, caller)?.series)
  assert.equal(new Set([series, hex, ...all]).size, 5)
})

/** The clocks of relays: small steps, hours, 1970, and 74 years ahead. */
const step = fc.oneof(
  fc.integer({ min: -600_000, max: 600_000 }).map(byMs => (nowMs: number) => nowMs + byMs),
  fc.integer({ min: -40, max: 40 }).map(hours => (nowMs: number) => nowMs + hours * 60 * MINUTE_MS),
  fc.constantFrom(0, NOW_MS, Date.UTC(2100, 0, 1)).map(ms => () => ms)
)

test('property: of files that one relay took, no older one replaces a later one, and no later one is dropped for it', async () => {
  const happening = fc.oneof(
    fc.record({ what: fc.constant('put' as const), relay: fc.nat(1) }),
    fc.record({ what: fc.constant('deliver' as const), relay: fc.nat(1), which: fc.nat() }),
    fc.record({ what: fc.constant('step' as const), relay: fc.nat(2), to: step }),
    fc.record({ what: fc.constant('restart' as const), relay: fc.nat(2) })
  )
  await fc.assert(
    fc.asyncProperty(fc.array(happening, { maxLength: 60 }), async happenings => {
      const relays = ['a', 'b', 'root'].map((id, index) => ({ id, index, ...setUp(NOW_MS, String(index).repeat(32)) }))
      const under: { id: string; at: Acceptance; no: number }[] = [] // way; sent more than once, in any order
      let kept: (typeof under)[number] | undefined
      let no = 0
      const [, , root] = relays
      assert.ok(root)
      for (const one of happenings) {
        for (const { clock } of relays) clock.nowMs += 10 // time goes on
        if (one.what === 'deliver') {
          const file = under[one.which % Math.max(1, under.length)]
          const from = relays.find(({ id }) => id === file?.id)
          if (file === undefined || from === undefined) continue
          const at = passOn(file.at, from.clock.nowMs, file.id, root.clock.nowMs)
          const isRefused: boolean = kept !== undefined && isOlder(aged(at), aged(kept.at), root.clock.nowMs)
          if (kept?.id === file.id) assert.equal(isRefused, file.no < kept.no)
          if (!isRefused) kept = { ...file, at }
          continue
        }
        const relay = relays[one.relay]
        assert.ok(relay)
        if (one.what === 'step') relay.clock.nowMs = one.to(relay.clock.nowMs)
        else if (one.what === 'restart') relay.restart()
        else {
          no += 1
          under.push({ id: relay.id, at: await relay.accept(), no })
        }
      }
    }),
    { numRuns: 500 }
  )
})

test('property: of files that several relays took, the latest stays, where no clock steps, however wrong they are', async () => {
  const offset = fc.oneof(
    fc.integer({ min: -500, max: 500 }),
    fc.integer({ min: -40, max: 40 }).map(hours => hours * 60 * MINUTE_MS)
  )
  const happening = fc.record({ isPut: fc.boolean(), relay: fc.nat(2), which: fc.nat() })
  await fc.assert(
    fc.asyncProperty(
      fc.tuple(offset, offset, offset),
      fc.array(happening, { maxLength: 40 }),
      async (offsets, happenings) => {
        const relays = offsets.map((ms, index) => ({ id: `${index}`, ...setUp(NOW_MS + ms, `${index}`.repeat(32)) }))
        const [root] = relays
        assert.ok(root)
        const under: { id: string; at: Acceptance; no: number }[] = []
        let kept: (typeof under)[number] | undefined
        let no = 0
        for (const { isPut, relay: index, which } of happenings) {
          for (const { clock } of relays) clock.nowMs += 3_000
          const relay = relays[index]
          assert.ok(relay)
          if (isPut) {
            no += 1
            const file = { id: relay.id, at: await relay.accept(kept && relay === root ? [kept.at] : []), no }
            if (relay === root) kept = file
            else under.push(file)
            continue
          }
          const file = under[which % Math.max(1, under.length)]
          const from = relays.find(({ id }) => id === file?.id)
          if (file === undefined || from === undefined) continue
          const at = passOn(file.at, from.clock.nowMs, file.id, root.clock.nowMs)
          const isRefused: boolean = kept !== undefined && isOlder(aged(at), aged(kept.at), root.clock.nowMs)
          assert.equal(isRefused, kept !== undefined && file.no < kept.no)
          if (!isRefused) kept = { ...file, at }
        }
      }
    ),
    { numRuns: 500 }
  )
})
