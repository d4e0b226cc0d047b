import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isOlder } from '../../src/shared-files/keeping/file-record.js'
import { createHeadCache } from '../../src/shared-files/keeping/head-cache.js'
import { createKeyLock } from '../../src/shared-files/keeping/key-lock.js'

const NO_SERIES = { series: undefined, seriesNumber: undefined }

test('what is done under one name takes turns, in order', async () => {
  const lock = createKeyLock()
  const done: number[] = []
  const release = await lock.acquire('a')
  const others = [1, 2, 3].map(async number => {
    const next = await lock.acquire('a')
    done.push(number)
    next()
  })
  assert.equal(lock.tryAcquire('a'), undefined)
  lock.tryAcquire('b')?.()
  release()
  await Promise.all(others)
  assert.deepEqual(done, [1, 2, 3])
  assert.equal(lock.isHeld('a'), false)
})

test('the signed time decides where both have one, else the time of acceptance', () => {
  const age = (acceptedAtMs: number, signedAtMs: number | undefined) => ({
    ...NO_SERIES,
    acceptedAtMs,
    signedAtMs,
    expiresAtMs: 100
  })
  assert.equal(isOlder(age(1, undefined), age(2, undefined), 0), true)
  assert.equal(isOlder(age(2, undefined), age(2, 9), 0), false)
  assert.equal(isOlder(age(3, 1), age(2, 2), 0), true)
  assert.equal(isOlder(age(1, 3), age(2, 2), 0), false)
  assert.equal(isOlder(age(1, undefined), age(2, undefined), 100), false)
})

test('the number decides where one relay took both, whatever the times say, unless both have a signed time', () => {
  const age = (seriesNumber: number, acceptedAtMs: number, change = {}) => {
    return { series: 'a', seriesNumber, acceptedAtMs, signedAtMs: undefined, expiresAtMs: 100, ...change }
  }
  assert.equal(isOlder(age(1, 9), age(2, 8), 0), true)
  assert.equal(isOlder(age(2, 8), age(1, 9), 0), false)
  assert.equal(isOlder(age(1, 9), age(2, 8), 100), true, 'also where it has expired by a clock that may be wrong')
  assert.equal(isOlder(age(1, 9), age(2, 8, { series: 'b' }), 0), false)
  assert.equal(isOlder(age(1, 9, { signedAtMs: 5 }), age(2, 8, { signedAtMs: 4 }), 0), false)
})

test('a copy that was accepted by a clock that was ahead blocks no later one, unless that is ahead as well', () => {
  const now = Date.UTC(2026, 5, 1)
  const age = (aheadMs: number) => ({
    ...NO_SERIES,
    acceptedAtMs: now + aheadMs,
    signedAtMs: undefined,
    expiresAtMs: 8e15
  })
  assert.equal(isOlder(age(10), age(90_000), now), false)
  assert.equal(isOlder(age(80_000), age(90_000), now), true)
  assert.equal(isOlder(age(-40), age(-10), now), true)
  assert.equal(isOlder(age(-1), age(20), now), true, 'clocks differ a little')
  assert.equal(isOlder(age(10), age(90_000), now - 1e12), true, 'the clock here is wrong')
})

test('the cache of hashes remembers what was looked up, unless the file was changed meanwhile', async () => {
  const cache = createHeadCache()
  const old = { hash: 'old', expiresAtMs: 1, via: '' }
  assert.equal(await cache.lookUp('a', async () => old), old)
  assert.equal(cache.get('a'), old)
  assert.equal(await cache.lookUp('none', async () => undefined), undefined)
  const changes = [() => cache.forget('b'), () => cache.set('b', { ...old, hash: 'new' })]
  for (const change of changes) {
    await cache.lookUp('b', async () => {
      change()
      return old
    })
    assert.notEqual(cache.get('b')?.hash, 'old')
  }
  await assert.rejects(
    cache.lookUp('c', () => Promise.reject(new Error('away'))),
    /away/
  )
  assert.equal(await cache.lookUp('c', async () => old), old)
})

test('the cache of hashes forgets the oldest when it is full', () => {
  const cache = createHeadCache(2)
  for (const name of ['a', 'b', 'c']) cache.set(name, { hash: name, expiresAtMs: 1, via: '' })
  assert.equal(cache.get('a'), undefined)
  assert.equal(cache.get('c')?.hash, 'c')
  cache.forget('c')
  assert.equal(cache.get('c'), undefined)
})
