import { describe, expect, test } from 'vitest'
import { parseEndpoint } from './endpoint.ts'

describe('the endpoint of an engine', () => {
  test.for([
    ['unix:///var/run/docker.sock', null, { kind: 'unix', path: '/var/run/docker.sock' }],
    ['unix:///a%20b/sock', null, { kind: 'unix', path: '/a b/sock' }],
    [
      'tcp://build.example:2375',
      null,
      { kind: 'tcp', host: 'build.example', port: 2375, certificates: null },
    ],
    ['tcp://build.example', null, { kind: 'tcp', host: 'build.example', port: 2375, certificates: null }],
    ['tcp://build.example', '/c', { kind: 'tcp', host: 'build.example', port: 2376, certificates: '/c' }],
    ['tcp://[fd7a::1]:99', null, { kind: 'tcp', host: 'fd7a::1', port: 99, certificates: null }],
  ] as const)('%s', ([value, certificates, endpoint]) => {
    expect(parseEndpoint(value, certificates)).toEqual(endpoint)
  })

  test.for([
    '',
    '/var/run/docker.sock',
    'unix://',
    'unix:///',
    'unix://relative/sock',
    'tcp://',
    'tcp://host:port',
    'tcp://user@host:2375',
    'tcp://host:2375/path',
    'ssh://host',
    'http://host',
    'fd://',
  ])('%j is none', (value) => {
    expect(() => parseEndpoint(value)).toThrow(expect.objectContaining({ code: 'config_invalid' }))
  })
})
