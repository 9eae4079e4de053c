package deploy_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// project loads docker-compose.yml as `docker compose` does: with its schema, which
// knows every key, and its rules, such as that what a service names exists. Every
// profile is on.
func project(t *testing.T, env ...string) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{"../docker-compose.yml"}, cli.WithEnv(env), cli.WithProfiles([]string{"*"}))
	require.NoError(t, err)
	p, err := options.LoadProject(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, p.Services)
	return p
}

// ours are the services that run the image of the Dockerfile.
func ours(p *types.Project) []types.ServiceConfig {
	var found []types.ServiceConfig
	for _, name := range slices.Sorted(maps.Keys(p.Services)) {
		if service := p.Services[name]; service.Build != nil {
			found = append(found, service)
		}
	}
	return found
}

// environment is a service's, as NAME=value.
func environment(service types.ServiceConfig) []string {
	var env []string
	for name, value := range service.Environment {
		if value != nil {
			env = append(env, name+"="+*value)
		}
	}
	return env
}

// oneShot reports whether a service is to end: somebody waits for it to.
func oneShot(p *types.Project, name string) bool {
	for _, service := range p.Services {
		if service.DependsOn[name].Condition == types.ServiceConditionCompletedSuccessfully {
			return true
		}
	}
	return false
}

// runsAsRoot are the services that may, and why.
var runsAsRoot = map[string]string{
	"nats": "its image makes no folder that another user could write to; it is root without any capability",
}

func TestEveryServiceIsPinnedBoundedAndWatched(t *testing.T) {
	t.Parallel()
	p := project(t, "VERSION=v1.2.3")
	for name, s := range p.Services {
		assert.Regexp(t, pinned, s.Image, name)

		require.NotNil(t, s.Deploy, name)
		require.NotNil(t, s.Deploy.Resources.Limits, name)
		limits := s.Deploy.Resources.Limits
		assert.Positive(t, limits.MemoryBytes, "%s has no limit of memory", name)
		assert.Positive(t, limits.Pids, "%s has no limit of processes", name)
		assert.Positive(t, limits.NanoCPUs, "%s has no limit of CPU", name)
		assert.LessOrEqual(t, limits.NanoCPUs, types.NanoCPUs(1), "%s does not start on a machine with one CPU", name)
		require.NotNil(t, s.Logging, name)
		assert.NotEmpty(t, s.Logging.Options["max-size"], "the log of %s fills the disk", name)
		require.NotNil(t, s.StopGracePeriod, name)
		assert.GreaterOrEqual(t, time.Duration(*s.StopGracePeriod), 30*time.Second, name)

		if oneShot(p, name) {
			assert.Equal(t, types.RestartPolicyNo, s.Restart, "%s: who waits for it hears of its failure at once", name)
			continue
		}
		assert.Equal(t, types.RestartPolicyUnlessStopped, s.Restart, name)
		require.NotNil(t, s.HealthCheck, "%s has no health check", name)
		require.Greater(t, len(s.HealthCheck.Test), 1, name)
		assert.Equal(t, "CMD", s.HealthCheck.Test[0], "%s: CMD-SHELL needs a shell", name)
	}
}

func TestEveryServiceHasOnlyTheRightsItNeeds(t *testing.T) {
	t.Parallel()
	_, image := dockerfile(t)
	for name, s := range project(t).Services {
		assert.True(t, s.ReadOnly, "%s may write to its image", name)
		assert.Equal(t, []string{"ALL"}, s.CapDrop, name)
		assert.Empty(t, s.CapAdd, name)
		assert.Contains(t, s.SecurityOpt, "no-new-privileges:true", name)
		assert.False(t, s.Privileged, name)
		assert.Empty(t, s.NetworkMode, name)
		assert.Empty(t, s.Pid+s.Ipc+s.Uts+s.UserNSMode, "%s shares a namespace of the machine", name)
		assert.Empty(t, s.Devices, name)
		switch {
		case s.Build != nil:
			assert.Empty(t, s.User, "%s overrides the user of its image", name)
			assert.Empty(t, s.Entrypoint, name)
		case runsAsRoot[name] == "":
			assert.Regexp(t, `^[1-9]\d*(:[1-9]\d*)?$`, s.User, "%s runs as root", name)
		}
		for _, v := range s.Volumes {
			assert.True(t, v.Type == types.VolumeTypeVolume || v.ReadOnly, "%s may write to %s of the machine", name, v.Source)
			assert.NotContains(t, v.Source, "docker.sock", name)
			if s.Build != nil && v.Type == types.VolumeTypeVolume {
				assert.NotEmpty(t, copyTo(t, image, v.Target).Chown, "%s could not write to its volume: the image has no such folder of its user's", name)
			}
		}
	}
}

// TestOnlyLoopbackPortsArePublished: those of design.md, and no other service can
// be reached from outside.
func TestOnlyLoopbackPortsArePublished(t *testing.T) {
	t.Parallel()
	p := project(t)
	published := map[string]string{}
	for name, s := range p.Services {
		for _, port := range s.Ports {
			assert.Equal(t, "127.0.0.1", port.HostIP, "%s is open to the network", name)
			published[name] = port.Published
		}
		require.NotEmpty(t, s.Networks, name)
		for network := range s.Networks {
			assert.NotEqual(t, "default", network, "%s says not where it belongs", name)
		}
	}
	assert.Equal(t, map[string]string{"serve": "8080", "simulator": "8081"}, published)
	for _, name := range []string{"postgres", "nats"} {
		for network := range p.Services[name].Networks {
			assert.True(t, p.Networks[network].Internal, "%s is on the network %s, which leads outside", name, network)
		}
	}
	for _, name := range []string{"serve", "work"} {
		assert.Contains(t, p.Services[name].Networks, "front", "%s cannot reach RevenueCat", name)
	}
}

// TestServicesStartAfterWhatTheyNeed: after the schema is current; and not after the
// broker is well, since spends are accepted without it.
func TestServicesStartAfterWhatTheyNeed(t *testing.T) {
	t.Parallel()
	p := project(t)
	assert.Equal(t, types.ServiceConditionHealthy, p.Services["migrate"].DependsOn["postgres"].Condition)
	for _, name := range []string{"serve", "work", "relay"} {
		needs := p.Services[name].DependsOn
		assert.Equal(t, types.ServiceConditionCompletedSuccessfully, needs["migrate"].Condition, name)
		assert.Equal(t, types.ServiceConditionStarted, needs["nats"].Condition, name)
	}
}

// TestMemoryIsGivenBackBeforeTheLimit: Go's soft limit is below the container's hard
// one, and not by much.
func TestMemoryIsGivenBackBeforeTheLimit(t *testing.T) {
	t.Parallel()
	p := project(t)
	for _, s := range append(ours(p), p.Services["nats"]) {
		soft := s.Environment["GOMEMLIMIT"]
		require.NotNil(t, soft, s.Name)
		var bytes types.UnitBytes
		require.NoError(t, bytes.DecodeMapstructure(strings.ToLower(strings.TrimSuffix(*soft, "iB"))), s.Name)
		hard := s.Deploy.Resources.Limits.MemoryBytes
		assert.Less(t, bytes, hard, s.Name)
		assert.Greater(t, bytes, hard*3/4, s.Name)
	}
}
