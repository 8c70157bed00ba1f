import { setTimeout as sleep } from 'node:timers/promises'
import type Docker from 'dockerode'
import { ForgeError } from '#core/errors.ts'
import type { SandboxId } from '#core/id.ts'
import { label } from './container.ts'
import { ask, askOr } from './engine.ts'

/** One server's use of one engine. */
export interface Session {
  readonly docker: Docker
  readonly owner: string
}

const filtersFor = ({ owner }: Session, id?: SandboxId) => ({
  label: [`${label.owner}=${owner}`, ...(id === undefined ? [] : [`${label.sandbox}=${id}`])],
})

interface Remains {
  readonly containers: readonly Docker.ContainerInfo[]
  readonly volumes: readonly Docker.VolumeInspectInfo[]
}

async function find(session: Session, id?: SandboxId): Promise<Remains> {
  const { docker } = session
  const filters = filtersFor(session, id)
  const [containers, found] = await Promise.all([
    ask(docker.listContainers({ all: true, filters })),
    ask(docker.listVolumes({ filters: JSON.stringify(filters) })),
  ])
  return { containers, volumes: found.Volumes ?? [] }
}

/** Of every container and volume that bears this server's label, whatever state it is in. */
export async function idsOf(session: Session): Promise<Set<string>> {
  const { containers, volumes } = await find(session)
  const names = [...containers, ...volumes].map((one) => one.Labels?.[label.sandbox])
  return new Set(names.filter((name) => name !== undefined))
}

/** 404: gone already. 409: being removed, or a volume whose container still goes. */
const leftToWait = [404, 409]
const patience = { rounds: 300, pauseMs: 50 }

/** Containers first, since they hold the volumes; until the engine shows nothing more. */
export async function removeAll(session: Session, id: SandboxId): Promise<void> {
  const { docker } = session
  for (let round = 0; round < patience.rounds; round++) {
    const { containers, volumes } = await find(session, id)
    if (containers.length === 0 && volumes.length === 0) return
    if (round > 0) await sleep(patience.pauseMs)
    for (const { Id } of containers)
      await askOr(docker.getContainer(Id).remove({ force: true, v: true }), leftToWait)
    for (const { Name } of volumes) await askOr(docker.getVolume(Name).remove(), leftToWait)
  }
  throw new ForgeError('provider_unavailable', `the Docker Engine does not remove the sandbox ${id}`)
}
