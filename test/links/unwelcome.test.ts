import assert from 'node:assert/strict'
import { Duplex } from 'node:stream'
import { test } from 'node:test'
import { endUnlessWelcome, refuseUpgrade } from '../../src/links/upper/accepting/refusals.js'

/** A connection whose other side reads nothing. */
function unread(): Duplex {
  return new Duplex({ read: () => undefined, write: () => undefined })
}

test('a caller that asked for a link and gets none is cut off, also when it does not read why; others are not', t => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const [refused, silent, welcome] = [unread(), unread(), unread()]
  endUnlessWelcome(refused)
  refuseUpgrade(refused, '503 Service Unavailable')
  endUnlessWelcome(silent)
  const stop = endUnlessWelcome(welcome)
  stop()
  t.mock.timers.tick(14_999)
  assert.deepEqual([refused.destroyed, silent.destroyed], [false, false])
  t.mock.timers.tick(1)
  assert.deepEqual([refused.destroyed, silent.destroyed, welcome.destroyed], [true, true, false])
})
