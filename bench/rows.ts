import { head, head100k } from './rows/head.js'
import { idle } from './rows/idle.js'
import { link1Gib, link1GibUp } from './rows/link-1gib.js'
import { linkOrder } from './rows/link-order.js'
import { linkSmall } from './rows/link-small.js'
import { links10000 } from './rows/links-10000.js'
import { purge10000 } from './rows/purge.js'
import { put1Gib, put50Mib } from './rows/put-large.js'
import { putSmall } from './rows/put-small.js'
import { reload100k } from './rows/reload-100k.js'
import { route100k } from './rows/route-100k.js'
import { run1000 } from './rows/run-1000.js'
import { runTwoSubRelays } from './rows/run-two-sub-relays.js'
import { serviceOrder } from './rows/service-order.js'
import {
  service1Gib,
  service1GibUp,
  serviceLatency,
  serviceNewConnections,
  serviceSmall,
  serviceUpgrades
} from './rows/services.js'
import { start100k } from './rows/start-100k.js'
import { threeHops } from './rows/three-hops.js'
import type { Row } from './support/row.js'

/** In the order in which they are measured and shown. */
export const ROWS: readonly Row[] = [
  head,
  head100k,
  put50Mib,
  put1Gib,
  putSmall,
  threeHops,
  run1000,
  runTwoSubRelays,
  start100k,
  reload100k,
  route100k,
  idle,
  purge10000,
  links10000,
  link1Gib,
  link1GibUp,
  linkSmall,
  linkOrder,
  serviceSmall,
  serviceNewConnections,
  serviceLatency,
  service1Gib,
  service1GibUp,
  serviceUpgrades,
  serviceOrder
]
