"""Installers, behind one small port."""
