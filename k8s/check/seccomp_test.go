package check

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// TestSeccompComponent renders each overlay with the component for the ledger's own profile: the ledger gets it, everything else of
// the pod stays as it is, and the file that it names is the one of the repository.
func TestSeccompComponent(t *testing.T) {
	for _, plain := range overlays(t) {
		dir := t.TempDir()
		reach := func(path string) string {
			absolute, err := filepath.Abs(path)
			if err != nil {
				t.Fatal(err)
			}
			relative, err := filepath.Rel(dir, absolute)
			if err != nil {
				t.Fatal(err)
			}
			return relative
		}
		text := "resources: [" + reach(filepath.Join("..", "overlays", plain.name)) + "]\ncomponents: [" + reach("../components/seccomp") + "]\n"
		if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		with := renderAt(t, plain.name, dir)
		pod := &with.template(t).Spec
		profile := ledger(t, pod).SecurityContext.SeccompProfile
		if profile == nil || profile.Type != corev1.SeccompProfileTypeLocalhost || profile.LocalhostProfile == nil {
			t.Fatalf("%s: the ledger's profile is %+v", plain.name, profile)
		}
		var file struct{ DefaultAction string }
		name := filepath.Join("..", "seccomp", *profile.LocalhostProfile)
		if err := json.Unmarshal([]byte(read(t, name)), &file); err != nil || file.DefaultAction != "SCMP_ACT_ERRNO" {
			t.Errorf("%s: default action %q, %v", name, file.DefaultAction, err)
		}
		before := plain.template(t)
		ledger(t, &before.Spec).SecurityContext.SeccompProfile = profile
		one, err1 := json.Marshal(before)
		other, err2 := json.Marshal(with.template(t))
		if err1 != nil || err2 != nil || string(one) != string(other) {
			t.Errorf("%s: the component changes more than the profile:\n%s\n%s", plain.name, one, other)
		}
	}
}
