import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BusiestNames, OTHER } from '../../src/api/metrics/busiest-names.js'
import { ServiceMetrics } from '../../src/api/metrics/service-metrics.js'
import type { ServedRequest } from '../../src/services/entry/traffic/served-request.js'

test('the busiest names are shown, and one that becomes far busier takes the place of another', () => {
  const ended: string[] = []
  const names = new BusiestNames(name => ended.push(name), 2)
  assert.deepEqual([names.count('a'), names.count('b'), names.count('c')], ['a', 'b', OTHER])
  names.count('a')
  names.count('a')
  assert.equal(names.count('c'), OTHER)
  assert.deepEqual([names.count('c'), ended], ['c', ['b']])
  assert.deepEqual([names.count('a'), names.count('b'), names.count('c')], ['a', OTHER, 'c'])
})

const request: ServedRequest = {
  id: '1',
  method: 'GET',
  path: '/',
  address: '192.0.2.1',
  key: 'git',
  hop: 'client',
  status: 200,
  isWhole: true,
  received: 0,
  sent: 0,
  firstByteMs: 3,
  durationMs: 4
}

test('requests are counted by key, first hop and class of the status', () => {
  const metrics = new ServiceMetrics()
  metrics.served(request)
  metrics.served({ ...request, status: 204 })
  metrics.served({ ...request, hop: 'relay-2', status: undefined })
  metrics.served({ ...request, key: 'made-up', hop: undefined, status: 502 })
  const text = metrics.text()
  for (const line of [
    'treeline_service_requests_total{key="git",status="2xx"} 2',
    'treeline_service_requests_total{key="git",status="none"} 1',
    'treeline_service_requests_total{key="none",status="5xx"} 1',
    'treeline_service_hop_requests_total{hop="client",status="2xx"} 2',
    'treeline_service_hop_requests_total{hop="relay-2",status="none"} 1',
    'treeline_service_hop_requests_total{hop="none",status="5xx"} 1',
    'treeline_service_first_byte_seconds_count{hop="any"} 4'
  ]) {
    assert.ok(text.split('\n').includes(line), `${line}\n${text}`)
  }
  assert.doesNotMatch(text, /made-up/)
})
