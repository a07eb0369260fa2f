package check

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"sigs.k8s.io/json"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// kinds makes the type of every kind that an overlay may have. Unknown fields in any are errors.
var kinds = map[string]func() any{
	"apps/v1 Deployment":                      func() any { return new(appsv1.Deployment) },
	"apps/v1 StatefulSet":                     func() any { return new(appsv1.StatefulSet) },
	"v1 Service":                              func() any { return new(corev1.Service) },
	"v1 ConfigMap":                            func() any { return new(corev1.ConfigMap) },
	"networking.k8s.io/v1 NetworkPolicy":      func() any { return new(networkingv1.NetworkPolicy) },
	"policy/v1 PodDisruptionBudget":           func() any { return new(policyv1.PodDisruptionBudget) },
	"monitoring.coreos.com/v1 PodMonitor":     func() any { return new(podMonitor) },
	"monitoring.coreos.com/v1 PrometheusRule": func() any { return new(prometheusRule) },
	"cert-manager.io/v1 Certificate":          func() any { return new(certificate) },
	"cert-manager.io/v1 Issuer":               func() any { return new(issuer) },
}

// decode reads YAML as an API server with strict field validation does: unknown and repeated fields are errors, and the case
// of letters counts.
func decode(text []byte, object any) error {
	data, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return err
	}
	faults, err := json.UnmarshalStrict(data, object, json.DisallowUnknownFields, json.DisallowDuplicateFields)
	return errors.Join(append(faults, err)...)
}

// overlay is a rendered overlay: its objects by kind and name.
type overlay struct {
	name    string
	objects map[string]any
}

// render renders an overlay as `kubectl apply -k` does, and decodes all of it.
func render(t *testing.T, name string) *overlay {
	t.Helper()
	return renderAt(t, name, filepath.Join("..", "overlays", name))
}

// renderAt renders a folder, under a name.
func renderAt(t *testing.T, name, dir string) *overlay {
	t.Helper()
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		t.Fatalf("render %s: %v", name, err)
	}
	o := &overlay{name: name, objects: map[string]any{}}
	for _, r := range built.Resources() {
		text, err := r.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		id := r.GetApiVersion() + " " + r.GetKind()
		if kinds[id] == nil {
			t.Errorf("%s: no type is known for %s: add it to kinds", name, id)
			continue
		}
		object := kinds[id]()
		if err := decode(text, object); err != nil {
			t.Errorf("%s: %s %s: %v\n%s", name, r.GetKind(), r.GetName(), err, text)
		}
		o.objects[r.GetKind()+"/"+r.GetName()] = object
	}
	return o
}

// overlays renders all of them.
func overlays(t *testing.T) (all []*overlay) {
	t.Helper()
	entries, err := os.ReadDir("../overlays")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		all = append(all, render(t, e.Name()))
	}
	if len(all) < 3 {
		t.Fatalf("%d overlays", len(all))
	}
	return all
}

// get returns an object by kind and name.
func get[T any](t *testing.T, o *overlay, id string) *T {
	t.Helper()
	object, ok := o.objects[id].(*T)
	if !ok {
		t.Fatalf("%s has no %s, but %s", o.name, id, o.ids())
	}
	return object
}

func (o *overlay) ids() string {
	var ids []string
	for id := range o.objects {
		ids = append(ids, id)
	}
	return strings.Join(ids, ", ")
}

// template returns the pod that the example runs in.
func (o *overlay) template(t *testing.T) *corev1.PodTemplateSpec {
	t.Helper()
	if d, ok := o.objects["Deployment/example"].(*appsv1.Deployment); ok {
		return &d.Spec.Template
	}
	return &get[appsv1.StatefulSet](t, o, "StatefulSet/example").Spec.Template
}

// ledger returns the sidecar of a pod.
func ledger(t *testing.T, pod *corev1.PodSpec) *corev1.Container {
	t.Helper()
	for i := range pod.InitContainers {
		if pod.InitContainers[i].Name == "ledger" {
			return &pod.InitContainers[i]
		}
	}
	t.Fatal("the pod has no ledger")
	return nil
}

// mounts returns where a container has a volume, and whether it may write there.
func mounts(c *corev1.Container, volume string) (path string, writable bool) {
	for _, m := range c.VolumeMounts {
		if m.Name == volume {
			return m.MountPath, !m.ReadOnly
		}
	}
	return "", false
}

// An object of a kind or with a field that nobody knows is found out.
func TestStrict(t *testing.T) {
	if err := decode([]byte("kind: Service\nspec: {clusterIp: None}\n"), new(corev1.Service)); err == nil {
		t.Error("a misspelt field is accepted")
	}
	if err := decode([]byte("kind: PodMonitor\nspec: {podMetricsEndpoint: []}\n"), new(podMonitor)); err == nil {
		t.Error("a misspelt field of a PodMonitor is accepted")
	}
}

// Every overlay renders, every object is of a known type without a field too many, and nothing is left of the example
// registry's place holders but in the overlays that say so.
func TestOverlays(t *testing.T) {
	for _, o := range overlays(t) {
		if len(o.objects) < 5 {
			t.Errorf("%s has %d objects: %s", o.name, len(o.objects), o.ids())
		}
		for _, c := range append(o.template(t).Spec.InitContainers, o.template(t).Spec.Containers...) {
			if _, tag, ok := strings.Cut(c.Image, ":"); !ok || tag == "latest" {
				t.Errorf("%s: image %s: give it a tag", o.name, c.Image)
			}
		}
		fmt.Printf("%s: %d objects: %s\n", o.name, len(o.objects), o.ids())
	}
}
