import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ConnectionBudget } from '../../src/relay/listening/connection-budget.js'
import { connectionsOf } from '../../src/relay/listening/descriptor-budget.js'

const ADDRESS = { host: '192.0.2.1', port: 1 }
const ONE = { listen: ADDRESS, proxyListen: undefined, httpsListen: undefined, socket: undefined }
const TWO = { ...ONE, listen: { host: 'localhost', port: 1 } }
const FIVE = { ...TWO, proxyListen: ADDRESS, httpsListen: ADDRESS, socket: '/run/treeline.sock' }

test('the connections of all listeners leave a quarter of the files that a process may open to its work', () => {
  for (const [listening, maxConnections, openFiles, expected] of [
    [ONE, 20_000, 65_536, 20_000],
    [ONE, 20_000, 1_024, 768],
    [ONE, 500, 1_024, 500],
    [ONE, 20_000, 128, 64],
    [ONE, 20_000, 64, 16],
    [ONE, 5, 10, 5],
    [TWO, 20_000, 1_024, 576],
    [TWO, 20_000, 20_000, 11_250],
    [FIVE, 20_000, 1_024, 464],
    [FIVE, 100, 1_024, 100],
    [FIVE, 20_000, 262_144, 20_000]
  ] as const) {
    const warned: unknown[] = []
    const logger = { warn: (facts: unknown) => void warned.push(facts) }
    const { max } = connectionsOf({ ...listening, maxConnections }, logger, openFiles)
    assert.equal(max, expected)
    const listeners = listening === FIVE ? 5 : listening === TWO ? 2 : 1
    assert.deepEqual(
      warned,
      expected < maxConnections ? [{ maxConnections, connections: max, listeners, openFiles }] : []
    )
  }
  const logger = { warn: () => assert.fail('by the limit of this process') }
  assert.equal(connectionsOf({ ...ONE, maxConnections: 10 }, logger).max, 10)
})

test('listeners share half of the connections, and none takes what another has for certain', () => {
  const budget = new ConnectionBudget({ total: 40, listeners: 2, max: 100 })
  const [links, others] = [budget.part(), budget.part()]
  const fill = (part: typeof links) => {
    let count = 0
    for (; part.hasRoom(); count += 1) part.take()
    return count
  }
  assert.deepEqual([fill(links), fill(others)], [30, 10])
  links.giveBack()
  others.giveBack()
  assert.deepEqual([fill(others), fill(links)], [2, 0])
  assert.deepEqual([links, others].map(fill), [0, 0])
  for (let count = 0; count < 20; count += 1) links.giveBack()
  assert.deepEqual([fill(others), fill(links)], [19, 1])
  assert.equal(fill(new ConnectionBudget({ total: 40, listeners: 2, max: 5 }).part()), 5)
})

test('property: the parts never have more than the budget together, and each has what is certain', () => {
  const step = fc.record({ part: fc.nat({ max: 2 }), isTaken: fc.boolean() })
  fc.assert(
    fc.property(
      fc.integer({ min: 3, max: 60 }),
      fc.integer({ min: 1, max: 60 }),
      fc.array(step),
      (total, max, steps) => {
        const budget = new ConnectionBudget({ total, listeners: 3, max })
        const parts = [0, 1, 2].map(() => ({ part: budget.part(), held: 0 }))
        for (const { part: index, isTaken } of steps) {
          const one = parts[index]
          if (one === undefined) continue
          if (one.held < budget.certain) assert.ok(one.part.hasRoom())
          if (isTaken && one.part.hasRoom()) {
            one.part.take()
            one.held += 1
          } else if (!isTaken && one.held > 0) {
            one.part.giveBack()
            one.held -= 1
          }
          assert.ok(parts.every(({ held }) => held <= budget.max))
          assert.ok(parts.reduce((sum, { held }) => sum + held, 0) <= total)
        }
      }
    )
  )
})
