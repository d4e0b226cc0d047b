import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nearestWord } from '../../src/config/readers/spelling.js'

const WORDS = ['listen', 'https_port', 'node_id', 'path', 'user']

test('close misspellings find the word that was meant', () => {
  const meant = {
    lisen: 'listen',
    Listen: 'listen',
    'https-port': 'https_port',
    htps_prt: 'https_port',
    nodeid: 'node_id',
    paths: 'path'
  }
  for (const [typed, word] of Object.entries(meant)) assert.equal(nearestWord(typed, WORDS), word)
})

test('other words find none', () => {
  for (const typed of ['', 'a', 'pat_h_x', 'threads', 'x'.repeat(100_000)])
    assert.equal(nearestWord(typed, WORDS), undefined)
})
