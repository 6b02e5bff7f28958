import type { ContainerRuntimeClient } from 'testcontainers'

/** Testcontainers' own client of the engine; its package is not a dependency of ours. */
export type Dockerode = ContainerRuntimeClient['container']['dockerode']
export type HostConfig = NonNullable<Parameters<Dockerode['createContainer']>[0]['HostConfig']>
export type Container = ReturnType<Dockerode['getContainer']>
