"""Field recordings as they come: sites from what files know of their place and time, with a report."""

from soundit_geo.field.sites import FieldSites, Limits, sites_from_folder
from soundit_geo.field.writing import save_sites

__all__ = ["FieldSites", "Limits", "save_sites", "sites_from_folder"]
