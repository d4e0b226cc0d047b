import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readFolder } from './support/source-files.js'

/** Where the caller gives the flags, and where a user names a FIFO that another program reads. */
const OTHERS = ['foreign-links.ts', 'stream-place.ts']

test('no file is opened in a way that waits: a FIFO in its place would keep a thread for ever', () => {
  const opening = /(?<![.#\w])open(?:Sync)?\([^\n]*(?:\bO_[A-Z]+|'[rwa]\+?')/
  const isQuick = /\bO_(NONBLOCK|EXCL|DIRECTORY|PATH|RDWR)\b|'\/dev\/null'/
  const files = readFolder('src').filter(({ path }) => !OTHERS.some(name => path.endsWith(name)))
  const openings = files.flatMap(({ path, text }) =>
    text
      .split('\n')
      .filter(line => opening.test(line))
      .map(line => `${path}: ${line.trim()}`)
  )
  assert.ok(openings.length > 10)
  assert.deepEqual(
    openings.filter(line => !isQuick.test(line)),
    []
  )
})

test('no file is written without a look at how much was written: a disk with little room takes a part', () => {
  const writing = /^\s*(?:await )?(?:[\w.#]*(?:[fF]ile|[hH]andle)\.writev?|writev?Sync)\(/
  const lines = readFolder('src').flatMap(({ path, text }) => text.split('\n').map(line => `${path}: ${line.trim()}`))
  assert.deepEqual(
    lines.filter(line => writing.test(line.slice(line.indexOf(': ') + 2))),
    []
  )
})
