package check

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// ownApplication is a Deployment that has never heard of a ledger but for its label, and a neighbour without one.
const ownApplication = `apiVersion: apps/v1
kind: Deployment
metadata: {name: shop, labels: {ron-ledger/inject: "true"}}
spec:
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec:
      initContainers:
        - {name: migrate, image: "shop:7"}
      containers:
        - {name: web, image: "shop:7", env: [{name: COLOUR, value: blue}], volumeMounts: []}
        - {name: proxy, image: "proxy:3"}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: neighbour}
spec:
  selector: {matchLabels: {app: neighbour}}
  template:
    metadata: {labels: {app: neighbour}}
    spec:
      containers: [{name: web, image: "shop:7"}]
`

// The component puts the ledger into a Deployment of somebody's own that carries the label: beside what that has, and into no
// other.
func TestOwnDeployment(t *testing.T) {
	dir := t.TempDir()
	component, err := filepath.Abs("../components/sidecar")
	must(t, err)
	component, err = filepath.Rel(dir, component)
	must(t, err)
	for name, text := range map[string]string{
		"shop.yaml": ownApplication, "ledger.toml": read(t, "../overlays/dev/ledger.toml"),
		"kustomization.yaml": "resources: [shop.yaml]\ncomponents: [" + component + "]\nconfigMapGenerator: [{name: ron-ledger-config, files: [ledger.toml]}]\n",
	} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	o := renderAt(t, "own", dir)
	pod := &get[appsv1.Deployment](t, o, "Deployment/shop").Spec.Template.Spec
	c := ledger(t, pod)
	if c.RestartPolicy == nil || *c.RestartPolicy != corev1.ContainerRestartPolicyAlways || c.StartupProbe == nil {
		t.Errorf("the ledger is no native sidecar: %+v", c)
	}
	if !slices.ContainsFunc(pod.InitContainers, func(c corev1.Container) bool { return c.Name == "migrate" }) || len(pod.InitContainers) != 2 || len(pod.Containers) != 2 {
		t.Errorf("containers: %v, %v", pod.InitContainers, pod.Containers)
	}
	web, proxy := &pod.Containers[0], &pod.Containers[1]
	socket := corev1.EnvVar{Name: "RON_LEDGER_SOCKET", Value: "/run/ron-ledger/ledger/ledger.sock"}
	if want := []corev1.EnvVar{{Name: "COLOUR", Value: "blue"}, socket}; web.Name != "web" || !slices.Equal(web.Env, want) {
		t.Errorf("%s has the environment %v, want %v", web.Name, web.Env, want)
	}
	if path, writable := mounts(web, "ron-ledger-socket"); path != filepath.Dir(filepath.Dir(socket.Value)) || writable {
		t.Errorf("%s has the socket at %q, writable %v", web.Name, path, writable)
	}
	if len(proxy.Env)+len(proxy.VolumeMounts) > 0 {
		t.Errorf("a container that does not append has %v, %v", proxy.Env, proxy.VolumeMounts)
	}
	neighbour := get[appsv1.Deployment](t, o, "Deployment/neighbour").Spec.Template.Spec
	if want := []corev1.Container{{Name: "web", Image: "shop:7"}}; !reflect.DeepEqual(neighbour.Containers, want) || len(neighbour.InitContainers)+len(neighbour.Volumes) > 0 {
		t.Errorf("a Deployment without the label is changed: %+v", neighbour)
	}
}
