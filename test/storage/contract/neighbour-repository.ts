import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { NeighbourRepository } from '../../../src/hops/neighbour-repository.js'

/** An implementation to check, on a place of its own. */
export interface NeighbourRepositoryFactory {
  /** The repository of a process. Opened again, without an end of the former: that process crashed. */
  open(): NeighbourRepository
}

/** Everything that a {@link NeighbourRepository} promises, as tests of the implementation that `create` makes. */
export function testNeighbourRepository(name: string, create: (t: TestContext) => NeighbourRepositoryFactory): void {
  test(`${name}: the last version of each neighbour is known to the next process`, async t => {
    const factory = create(t)
    const first = factory.open()
    assert.deepEqual(await first.versions(), new Map())
    await Promise.all([
      first.remember('relay1', '1.0.0', 1_000),
      first.remember('relay2', '1.0.0', 1_000),
      first.remember('relay1', '1.1.0', 900)
    ])
    assert.deepEqual(Object.fromEntries(await factory.open().versions()), { relay1: '1.1.0', relay2: '1.0.0' })
  })

  test(`${name}: a neighbour that is forgotten is unknown to the next process, and can be remembered again`, async t => {
    const factory = create(t)
    const first = factory.open()
    await first.remember('relay1', '1.0.0', 1_000)
    await first.forget('relay1')
    await first.forget('stranger')
    assert.deepEqual(await factory.open().versions(), new Map())
    await first.remember('relay1', '1.0.1', 2_000)
    assert.deepEqual(await factory.open().versions(), new Map([['relay1', '1.0.1']]))
  })
}
