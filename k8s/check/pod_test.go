package check

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"

	"github.com/rustyonions/ron-ledger/sidecar"
)

// ledgerConfig is what the sidecar of an overlay makes of its arguments, its environment and its ConfigMap, by the
// loader of ron-ledgerd.
func ledgerConfig(t *testing.T, o *overlay) *sidecar.Config {
	t.Helper()
	pod := &o.template(t).Spec
	c := ledger(t, pod)
	mount, _ := mounts(c, "ron-ledger-config")
	dir := t.TempDir()
	for _, v := range pod.Volumes {
		if v.Name == "ron-ledger-config" {
			for file, text := range get[corev1.ConfigMap](t, o, "ConfigMap/"+v.ConfigMap.Name).Data {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	var args, env []string
	for _, arg := range c.Command[1:] {
		args = append(args, strings.Replace(arg, mount, dir, 1))
	}
	for _, e := range c.Env {
		value := e.Value
		if e.ValueFrom != nil {
			if field := e.ValueFrom.ResourceFieldRef; field.Resource != "limits.memory" || field.ContainerName != c.Name {
				t.Errorf("%s: %s is of %s of %s", o.name, e.Name, field.Resource, field.ContainerName)
			}
			value = strconv.FormatInt(c.Resources.Limits.Memory().Value(), 10)
		}
		env = append(env, e.Name+"="+value)
	}
	config, err := sidecar.Load(args, env)
	if err != nil {
		t.Fatalf("%s: ron-ledgerd refuses its configuration: %v", o.name, err)
	}
	return config
}

// The configuration in the manifests is one that the real loader takes, and fits the pod around it.
func TestConfiguration(t *testing.T) {
	for _, o := range overlays(t) {
		c := ledgerConfig(t, o)
		pod := &o.template(t).Spec
		if want := map[string]string{"macronode": sidecar.Macronode, "roaming": sidecar.Macronode}[o.name]; want != "" && c.Profile != want || want == "" && c.Profile != sidecar.Micronode {
			t.Errorf("%s: profile %s", o.name, c.Profile)
		}
		if int64(c.Memory.Container) != ledger(t, pod).Resources.Limits.Memory().Value() {
			t.Errorf("%s: memory.container is %s", o.name, c.Memory.Container)
		}
		socketMount, _ := mounts(ledger(t, pod), "ron-ledger-socket")
		if folder := filepath.Dir(c.UDS.Path); filepath.Dir(folder) != socketMount || c.UDS.DirMode == 0 {
			t.Errorf("%s: the socket %s has no folder of its own below %s that the sidecar makes", o.name, c.UDS.Path, socketMount)
		}
		group := *pod.SecurityContext.FSGroup
		if !slices.Contains(c.UDS.AllowGIDs, uint32(group)) || c.UDS.Mode != 0o660 || *ledger(t, pod).SecurityContext.RunAsGroup != group {
			t.Errorf("%s: the group %d of the pod cannot connect: allow_gids %v, mode %v", o.name, group, c.UDS.AllowGIDs, c.UDS.Mode)
		}
		for _, container := range append([]corev1.Container{*ledger(t, pod)}, pod.Containers...) {
			i := slices.IndexFunc(container.Env, func(e corev1.EnvVar) bool { return e.Name == "RON_LEDGER_SOCKET" })
			if i < 0 || container.Env[i].Value != c.UDS.Path {
				t.Errorf("%s: %s does not know the socket %s", o.name, container.Name, c.UDS.Path)
			}
		}
		homes := 0
		for _, object := range o.objects {
			if file, ok := object.(*corev1.ConfigMap); ok && strings.Contains(file.Data["ledger.toml"], "\nhome = \""+c.Home+"\"") {
				homes++
			}
		}
		if i := slices.IndexFunc(ledger(t, pod).Env, func(e corev1.EnvVar) bool { return e.Name == "RON_LEDGER_HOME" }); i < 0 || homes != 1 {
			t.Errorf("%s: ledgerctl does not know the home %s, or the file has another", o.name, c.Home)
		}
		if _, port, _ := strings.Cut(c.HTTPS.Addr, ":"); port != strconv.Itoa(int(ledger(t, pod).Ports[0].ContainerPort)) {
			t.Errorf("%s: HTTPS listens on %s, the container's port is %d", o.name, c.HTTPS.Addr, ledger(t, pod).Ports[0].ContainerPort)
		}
		if grace := time.Duration(*pod.TerminationGracePeriodSeconds) * time.Second; grace < c.Shutdown.Timeout.Duration()+30*time.Second {
			t.Errorf("%s: %v to stop is too short for an application and shutdown.timeout %s", o.name, grace, c.Shutdown.Timeout)
		}
	}
}

// The sidecar is a native one, and its probes are commands with a deadline of their own.
func TestSidecar(t *testing.T) {
	for _, o := range overlays(t) {
		c := ledger(t, &o.template(t).Spec)
		if c.RestartPolicy == nil || *c.RestartPolicy != corev1.ContainerRestartPolicyAlways {
			t.Errorf("%s: the ledger is an ordinary init container", o.name)
		}
		for question, probe := range map[string]*corev1.Probe{"--startup": c.StartupProbe, "--live": c.LivenessProbe, "--ready": c.ReadinessProbe} {
			if probe == nil || probe.Exec == nil || !slices.Equal(probe.Exec.Command[:3], []string{"/ledgerctl", "health", question}) {
				t.Errorf("%s: the probe for %s is %v", o.name, question, probe)
				continue
			}
			i := slices.Index(probe.Exec.Command, "--timeout")
			own, err := time.ParseDuration(probe.Exec.Command[i+1])
			if err != nil || own >= time.Duration(probe.TimeoutSeconds)*time.Second {
				t.Errorf("%s: %s has %v itself and %d s from kubelet (%v)", o.name, question, own, probe.TimeoutSeconds, err)
			}
		}
		if c.StartupProbe.FailureThreshold*c.StartupProbe.PeriodSeconds < 300 {
			t.Errorf("%s: a replay of five minutes would be broken off", o.name)
		}
	}
}

// Nothing runs as root, as another container's uid, with a capability, or with a root file system that can be
// written; and no container has what belongs to another.
func TestSecurity(t *testing.T) {
	for _, o := range overlays(t) {
		pod := &o.template(t).Spec
		uids := map[int64]string{}
		for _, c := range append(pod.InitContainers, pod.Containers...) {
			s := c.SecurityContext
			switch {
			case s == nil || s.RunAsNonRoot == nil || !*s.RunAsNonRoot || s.RunAsUser == nil || *s.RunAsUser == 0:
				t.Errorf("%s: %s may run as root", o.name, c.Name)
				continue
			case uids[*s.RunAsUser] != "":
				t.Errorf("%s: %s and %s have one uid", o.name, c.Name, uids[*s.RunAsUser])
			case s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem:
				t.Errorf("%s: %s can write its root", o.name, c.Name)
			case s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation:
				t.Errorf("%s: %s may gain privileges", o.name, c.Name)
			case s.Capabilities == nil || !slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) || len(s.Capabilities.Add) > 0:
				t.Errorf("%s: %s keeps capabilities", o.name, c.Name)
			case s.SeccompProfile == nil || s.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault:
				t.Errorf("%s: %s has not the seccomp profile of the runtime", o.name, c.Name)
			}
			uids[*s.RunAsUser] = c.Name
			if c.Resources.Limits.Memory().IsZero() {
				t.Errorf("%s: %s has no memory limit", o.name, c.Name)
			}
			if c.Name == "ledger" {
				continue
			}
			if path, writable := mounts(&c, "ron-ledger-socket"); path == "" || writable {
				t.Errorf("%s: %s has the socket at %q, writable %v", o.name, c.Name, path, writable)
			}
			for _, own := range []string{"ledger", "ron-ledger-tls", "ron-ledger-config"} {
				if path, _ := mounts(&c, own); path != "" {
					t.Errorf("%s: %s mounts %s", o.name, c.Name, own)
				}
			}
		}
	}
}

// A macronode has a volume of one pod that is kept; a micronode has none. The socket lies in memory everywhere.
func TestVolumes(t *testing.T) {
	for _, o := range overlays(t) {
		volumes := o.template(t).Spec.Volumes
		i := slices.IndexFunc(volumes, func(v corev1.Volume) bool { return v.Name == "ron-ledger-socket" })
		if i < 0 || volumes[i].EmptyDir == nil || volumes[i].EmptyDir.Medium != corev1.StorageMediumMemory || volumes[i].EmptyDir.SizeLimit.IsZero() {
			t.Errorf("%s: the volume of the socket is none in memory with a limit: %v", o.name, volumes)
		}
	}
	macro := render(t, "macronode")
	set := get[appsv1.StatefulSet](t, macro, "StatefulSet/example")
	if len(set.Spec.VolumeClaimTemplates) != 1 || !slices.Equal(set.Spec.VolumeClaimTemplates[0].Spec.AccessModes, []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOncePod}) {
		t.Errorf("volumes: %v", set.Spec.VolumeClaimTemplates)
	}
	if keep := set.Spec.PersistentVolumeClaimRetentionPolicy; keep == nil ||
		keep.WhenDeleted != appsv1.RetainPersistentVolumeClaimRetentionPolicyType || keep.WhenScaled != appsv1.RetainPersistentVolumeClaimRetentionPolicyType {
		t.Errorf("retention: %v", keep)
	}
	pod := &set.Spec.Template.Spec
	path, writable := mounts(ledger(t, pod), set.Spec.VolumeClaimTemplates[0].Name)
	if home := ledgerConfig(t, macro).Home; !writable || filepath.Dir(home) != path {
		t.Errorf("the home %s is not a folder in the volume at %q", home, path)
	}
	if policy := pod.SecurityContext.FSGroupChangePolicy; policy == nil || *policy != corev1.FSGroupChangeOnRootMismatch {
		t.Error("kubelet would open the home to the group at each start")
	}
	for _, name := range []string{"micronode", "dev"} {
		for _, v := range render(t, name).template(t).Spec.Volumes {
			if v.PersistentVolumeClaim != nil || v.HostPath != nil || v.Ephemeral != nil {
				t.Errorf("%s: volume %s", name, v.Name)
			}
		}
	}
}

// Service, policy, budget, monitor and certificate are about the pods and the port of the ledger.
func TestAround(t *testing.T) {
	for _, name := range []string{"micronode", "macronode"} {
		o := render(t, name)
		template := o.template(t)
		port := ledger(t, &template.Spec).Ports[0]
		selects := func(what string, labels map[string]string) {
			t.Helper()
			for key, value := range labels {
				if template.Labels[key] != value {
					t.Errorf("%s: %s selects %s=%s, which the pod does not have", name, what, key, value)
				}
			}
			if len(labels) == 0 {
				t.Errorf("%s: %s selects everything", name, what)
			}
		}
		service := get[corev1.Service](t, o, "Service/ron-ledger")
		selects("the service", service.Spec.Selector)
		if service.Spec.ClusterIP != corev1.ClusterIPNone || service.Spec.Ports[0].TargetPort.IntVal != port.ContainerPort {
			t.Errorf("%s: service %v", name, service.Spec)
		}
		policy := get[networkingv1.NetworkPolicy](t, o, "NetworkPolicy/ron-ledger")
		selects("the network policy", policy.Spec.PodSelector.MatchLabels)
		if p := policy.Spec.Ingress[0].Ports; len(p) != 1 || p[0].Port.IntVal != port.ContainerPort || len(policy.Spec.Ingress[0].From) == 0 {
			t.Errorf("%s: network policy %v", name, policy.Spec)
		}
		selects("the budget", get[policyv1.PodDisruptionBudget](t, o, "PodDisruptionBudget/ron-ledger").Spec.Selector.MatchLabels)
		monitor := get[podMonitor](t, o, "PodMonitor/ron-ledger")
		selects("the monitor", monitor.Spec.Selector.MatchLabels)
		cert := get[certificate](t, o, "Certificate/ron-ledger")
		endpoint := monitor.Spec.PodMetricsEndpoints[0]
		if endpoint.Port != port.Name || endpoint.Scheme != "https" || endpoint.Path != "/metrics" ||
			!slices.Contains(cert.Spec.DNSNames, endpoint.TLSConfig.ServerName) || endpoint.TLSConfig.CA.Secret.Name != cert.Spec.SecretName {
			t.Errorf("%s: the monitor cannot scrape: %+v", name, endpoint)
		}
		config := ledgerConfig(t, o)
		mount, _ := mounts(ledger(t, &template.Spec), cert.Spec.SecretName)
		if config.HTTPS.CertFile != mount+"/tls.crt" || config.HTTPS.KeyFile != mount+"/tls.key" {
			t.Errorf("%s: the certificate is at %s, the sidecar reads %s and %s", name, mount, config.HTTPS.CertFile, config.HTTPS.KeyFile)
		}
		if cert.Spec.RenewBefore.Duration < 21*24*time.Hour {
			t.Errorf("%s: renewed %v before the end, when the alert has fired", name, cert.Spec.RenewBefore)
		}
	}
}
