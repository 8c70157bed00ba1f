import type { ContainerCreateOptions, MountSettings } from 'dockerode'
import type { SandboxId } from '#core/id.ts'
import type { Enforcement, Enforcements, SandboxLimits } from '#core/sandbox/sandbox.ts'
import { guestAccount, WORKDIR } from '../../guest-env.ts'
import { forgeDir, initCommand } from './guest-files.ts'
import { seccompProfile } from './seccomp-profile.ts'

/** By these the containers and volumes of one server are known, whatever else the engine runs. */
export const label = { owner: 'dev.forge.owner', sandbox: 'dev.forge.sandbox' } as const

/** What the engine says of its host that matters here. */
export interface EngineFacts {
  readonly machine: string
  readonly cgroupVersion: string
  readonly limitsMemory: boolean
  readonly limitsPids: boolean
  readonly limitsCpus: boolean
}

export interface ContainerRequest {
  readonly id: SandboxId
  readonly owner: string
  readonly image: string
  readonly limits: SandboxLimits
  readonly facts: EngineFacts
}

const mib = 1024 * 1024
const shmBytes = 64 * mib

/** Memory file systems count as memory of the sandbox: at most half of it, and never more than its disk. */
const tmpBytes = (limits: SandboxLimits): number => Math.min(limits.diskMb, limits.memoryMb / 2) * mib

export const labelsOf = (owner: string, id: SandboxId): Record<string, string> => ({
  [label.owner]: owner,
  [label.sandbox]: id,
})

function volume(request: ContainerRequest, name: string, target: string): MountSettings {
  const { owner, id } = request
  return {
    Type: 'volume',
    Source: `forge-${owner}-${id}-${name}`,
    Target: target,
    // With a copy of what the image has there comes the owner of the folder.
    VolumeOptions: {
      NoCopy: false,
      Labels: labelsOf(owner, id),
      DriverConfig: { Name: 'local', Options: {} },
    },
  }
}

const seccomp = (machine: string): string[] => {
  const profile = seccompProfile(machine)
  // Without one of ours the engine's own default is in force.
  return profile === null ? [] : [`seccomp=${JSON.stringify(profile)}`]
}

function hostConfig(request: ContainerRequest): NonNullable<ContainerCreateOptions['HostConfig']> {
  const { limits, facts } = request
  const memory = limits.memoryMb * mib
  return {
    NetworkMode: 'none',
    // Else the engine writes the host's own name servers into it.
    Dns: ['127.0.0.1'],
    DnsSearch: ['.'],
    ReadonlyRootfs: true,
    CapDrop: ['ALL'],
    SecurityOpt: ['no-new-privileges', ...seccomp(facts.machine)],
    Privileged: false,
    PidMode: '',
    IpcMode: 'private',
    Memory: memory,
    // Memory and swap together.
    MemorySwap: memory,
    PidsLimit: limits.pids,
    ...(limits.cpus === undefined ? {} : { NanoCpus: Math.round(limits.cpus * 1e9) }),
    OomScoreAdj: 500,
    // A limit of 1, unlike 0, also keeps cores from the host's crash handler, see core(5).
    Ulimits: [{ Name: 'core', Soft: 1, Hard: 1 }],
    // Process 1 is ours; what the sandbox says on it is kept nowhere, or it could fill the host's disk.
    Init: false,
    LogConfig: { Type: 'none', Config: {} },
    RestartPolicy: { Name: 'no' },
    ShmSize: shmBytes,
    Tmpfs: {
      '/tmp': `rw,exec,nosuid,nodev,mode=1777,size=${tmpBytes(limits)}`,
      '/var/tmp': `rw,exec,nosuid,nodev,mode=1777,size=${tmpBytes(limits)}`,
    },
    Mounts: [
      volume(request, 'forge', forgeDir),
      volume(request, 'work', WORKDIR),
      volume(request, 'home', guestAccount.home),
    ],
  }
}

export function containerOptions(request: ContainerRequest): ContainerCreateOptions {
  const { id, owner, image, facts } = request
  return {
    name: `forge-${owner}-${id}`,
    Image: image,
    // Whatever the image has of its own to run.
    Entrypoint: initCommand(facts.machine),
    Cmd: [],
    User: `${guestAccount.uid}:${guestAccount.gid}`,
    WorkingDir: '/',
    Hostname: 'sandbox',
    Env: [],
    Labels: labelsOf(owner, id),
    OpenStdin: false,
    Tty: false,
    StopSignal: 'SIGKILL',
    Healthcheck: { Test: ['NONE'] },
    HostConfig: hostConfig(request),
  }
}

export function enforcements(limits: SandboxLimits, facts: EngineFacts): Enforcements {
  const byCgroup = (enforced: boolean): Enforcement =>
    enforced
      ? { enforced, how: `cgroup v${facts.cgroupVersion} of the Docker Engine` }
      : { enforced, how: 'the Docker Engine has no such cgroup controller' }
  return {
    memory: byCgroup(facts.limitsMemory),
    pids: byCgroup(facts.limitsPids),
    cpus:
      limits.cpus === undefined ? { enforced: true, how: 'no limit asked for' } : byCgroup(facts.limitsCpus),
    disk: { enforced: false, how: 'volumes of the Docker Engine have no size; /tmp has, in memory' },
  }
}
