import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { NeighbourRepository } from '../../../src/hops/neighbour-repository.js'

/** An implementation to check, on a place of its own. */
export interface NeighbourRepositoryFactory {
  /** The repository of a process. Opened again, without an end of the former: that process crashed. */
  open(): NeighbourRepository
  /** The repository of one more process, which lives beside the last one that was opened. */
  openBeside(): NeighbourRepository
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

  test(`${name}: thousands of neighbours are remembered at once, by processes that live beside one another`, async t => {
    const factory = create(t)
    const processes = [factory.open(), factory.openBeside()]
    const ids = Array.from({ length: 2_000 }, (_, index) => `relay${index}`)
    const version = '9'.repeat(64)
    await Promise.all(
      processes.flatMap((process, own) =>
        ids.filter((_, index) => index % 3 <= 1 + own).map(id => process.remember(id, version, own))
      )
    )
    const expected = new Map(ids.map(id => [id, version]))
    for (const process of [...processes, factory.open()]) {
      const found = await process.versions()
      assert.equal(found.size, ids.length)
      assert.deepEqual(new Map([...found].sort()), new Map([...expected].sort()))
    }
    const [first, second] = processes
    await Promise.all([...ids.slice(1).map(id => second?.forget(id)), first?.remember('relay1999', '2.0.0', 9)])
    assert.equal((await factory.open().versions()).get('relay0'), version)
    assert.ok((await factory.open().versions()).size <= 2, 'one may have been remembered after it was forgotten')
  })
}
