import path from 'node:path'
import { afterAll, beforeAll } from 'vitest'
import { connectEngine } from '../providers/docker/engine.ts'
import { dockerProvider } from '../providers/docker/provider.ts'
import { type DockerWorld, dockerWorld } from '../providers/docker/test-world.ts'
import { describeProvider } from './provider.ts'

let world: DockerWorld | string = 'it was not started'
beforeAll(async () => {
  world = await dockerWorld()
}, 600_000)
afterAll(async () => {
  if (typeof world !== 'string') await world[Symbol.asyncDispose]()
}, 60_000)

function present(): DockerWorld {
  if (typeof world === 'string') throw new Error(world)
  return world
}

const endpoint = () => ({ kind: 'unix', path: present().engine.socket }) as const

describeProvider({
  name: 'docker',
  unavailable: async () => (typeof world === 'string' ? world : null),
  make: async () =>
    dockerProvider({
      stateDir: path.join(present().scratch, 'state'),
      endpoint,
      image: async () => present().image,
    }),
  kill: async (_id, handle) => {
    const docker = await connectEngine(endpoint())
    await docker.getContainer(String(handle.container)).kill()
  },
})
