import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatDuration, parseDuration } from '../src/duration.js'

test('parses a single part', () => {
  assert.equal(parseDuration('45s'), 45)
  assert.equal(parseDuration('2h'), 7200)
})

test('adds up several parts', () => {
  assert.equal(parseDuration('1h30m'), 5400)
  assert.equal(parseDuration('1d2h3m4s'), 93_784)
})

test('refuses what is no duration', () => {
  assert.throws(() => parseDuration('soon'), RangeError)
  assert.throws(() => parseDuration('1h soon'), RangeError)
})

test('formats seconds', () => {
  assert.equal(formatDuration(5400), '1h30m')
  assert.equal(formatDuration(0), '0s')
})
