"""How each model family thinks: one small data file a family, read into a frozen `Profile`."""

from bethink.profiles.profile import Profile, SamplingDefaults, choose, load_profiles

__all__ = ["Profile", "SamplingDefaults", "choose", "load_profiles"]
